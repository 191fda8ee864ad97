import { type Secret, secret, vcloud } from 'fleetbeat/adapters/libcloud/vcloud';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asToken, instanceKey } from '../../../src/domain/identity.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { CANARY } from '../../support/clouds/fake-cloud.ts';
import { type FakeVcloud, fakeVcloud } from '../../support/clouds/fake-vcloud.ts';

let cloud: FakeVcloud;
beforeEach(async () => {
  cloud = await fakeVcloud();
});
afterEach(() => cloud.close());

const to = (path: RegExp) => cloud.api.received.filter((one) => path.test(one.path));
const first = async (options = {}) => (await cloud.driver(options).observe(want, never)).items[0];

test.each([
  ['FAILED_CREATION', 'unknown'],
  ['UNRESOLVED', 'pending'],
  ['RESOLVED', 'pending'],
  ['DEPLOYED', 'pending'],
  ['SUSPENDED', 'stopped'],
  ['POWERED_ON', 'running'],
  ['WAITING_FOR_INPUT', 'pending'],
  ['UNKNOWN', 'unknown'],
  ['UNRECOGNIZED', 'unknown'],
  ['POWERED_OFF', 'stopped'],
  ['INCONSISTENT_STATE', 'unknown'],
  ['MIXED', 'unknown'],
  ['PARTIALLY_POWERED_OFF', 'unknown'],
  ['PARTIALLY_SUSPENDED', 'unknown'],
])('the status %s is %s', async (status, power) => {
  cloud.add({ ip: '10.0.0.1', state: status });
  expect((await first())?.power).toEqual({ state: power, raw: status });
});

test.each([
  ['POWERED_ON', 'vappUndeployPowerOff', 'stopping'],
  ['POWERED_OFF', 'vappDeploy', 'pending'],
  ['POWERED_OFF', 'vdcDeleteVapp', 'shutting-down'],
  ['POWERED_ON', 'somethingElse', 'running'],
])('%s while the task %s runs is %s', async (status, task, power) => {
  cloud.add({ ip: '10.0.0.1', state: status });
  cloud.extra = `isBusy="true" taskStatus="running" taskStatusName="${task}"`;
  expect((await first())?.power?.state).toBe(power);
});

test('a task that has failed is told', async () => {
  const { id } = cloud.add({ ip: '10.0.0.1' });
  cloud.extra = 'taskStatus="error" taskStatusName="vappDeploy" taskDetails="no &lt;host&gt;"';
  const { problems } = await cloud.driver().observe(want, never);
  expect(problems).toEqual([{ subject: id, code: 'ER0221', message: 'vappDeploy has failed: no <host>' }]);
});

test('an address that the query leaves out comes from the vApp, which is read once while nothing changes', async () => {
  cloud.isOld = true;
  const machine = cloud.add({ ip: '10.0.0.1' });
  const driver = cloud.driver();
  for (let beat = 0; beat < 3; beat++) expect((await driver.observe(want, never)).items[0]?.ip).toBe('10.0.0.1');
  expect(to(/vApp/)).toHaveLength(1);
  machine.state = 'POWERED_OFF';
  machine.ip = '10.0.0.2';
  expect((await driver.observe(want, never)).items[0]?.ip).toBe('10.0.0.2');
  expect((await first({ network: 'other' }))?.ip).toBe('10.7.7.7');
});

test('a vApp that cannot be read is a problem of its machines alone', async () => {
  cloud.isOld = true;
  const [bad, good] = [cloud.add({ ip: '10.0.0.1' }), cloud.add({ ip: '10.0.0.2' })];
  cloud.api.intercept(({ path }) =>
    path.endsWith(bad.id.replace('vm-', 'vapp-'))
      ? {
          status: 403,
          body: '<Error minorErrorCode="ACCESS_TO_RESOURCE_IS_FORBIDDEN" message="No access to entity &quot;x&quot;."/>',
        }
      : null,
  );
  const { items, problems, complete } = await cloud.driver().observe(want, never);
  expect(items.map(({ id, ip }) => [id, ip])).toEqual([
    [bad.id, null],
    [good.id, '10.0.0.2'],
  ]);
  expect(problems).toMatchObject([{ subject: bad.id, message: expect.stringContaining('No access to entity "x".') }]);
  expect(complete).toBe(true);
});

test('templates and what is deleted are no instances', async () => {
  cloud.add({ ip: '10.0.0.1' });
  cloud.extra = 'isDeleted="true"';
  expect(await first()).toBeUndefined();
});

test('logs in as a user of an organization, in the version that is said, and again after its session has ended', async () => {
  cloud.add({ ip: '10.0.0.1' });
  const driver = cloud.driver({ version: '1.5' });
  await driver.observe(want, never);
  cloud.expire();
  await driver.observe(want, never);
  const logins = to(/sessions$/);
  expect(logins).toHaveLength(2);
  expect(logins[0]?.headers).toMatchObject({
    accept: 'application/*+xml;version=1.5',
    authorization: `Basic ${Buffer.from(`admin@shop:${CANARY}`).toString('base64')}`,
  });
});

test('a stop gives back what the machine ran on, and shuts it down first unless forced', async () => {
  for (const force of [false, true]) {
    const { id } = cloud.add({});
    expect(await cloud.driver({ force }).perform([callTo(instanceKey('vcloud', id), 'stop')], never)).toEqual([null]);
  }
  expect(to(/undeploy$/).map(({ body }) => /<UndeployPowerAction>(.*?)</.exec(body)?.[1])).toEqual(['shutdown', 'powerOff']);
  expect(to(/undeploy$/)[0]?.headers['content-type']).toBe('application/vnd.vmware.vcloud.undeployVAppParams+xml');
});

test('what runs is powered off before it is deleted, over two calls', async () => {
  const machine = cloud.add({ ip: '10.0.0.1' });
  const driver = cloud.driver();
  const terminate = () => driver.perform([callTo('10.0.0.1', 'terminate')], never);
  await driver.observe(want, never);
  expect(await terminate()).toMatchObject([{ subject: machine.id, code: 'ER0227' }]);
  expect(machine.state).toBe('POWERED_OFF');
  await driver.observe(want, never);
  expect(await terminate()).toEqual([null]);
  expect(cloud.machines).toEqual([]);
});

test('one machine of many is taken out of their vApp', async () => {
  const record = (id: string) =>
    `<VMRecord href="https://x/api/vApp/${id}" container="https://x/api/vApp/vapp-1" status="POWERED_OFF" ipAddress="10.0.0.${id.slice(-1)}"/>`;
  cloud.api.intercept(({ path }) => {
    if (path === '/api/query')
      return { body: `<QueryResultRecords total="2" pageSize="25">${record('vm-1')}${record('vm-2')}</QueryResultRecords>` };
    return path.endsWith('recomposeVApp') ? { status: 202, body: '<Task status="queued"/>' } : null;
  });
  expect(await cloud.driver().perform([callTo('10.0.0.2', 'terminate')], never)).toEqual([null]);
  expect(to(/recompose/).map(({ path, body }) => [path, /<DeleteItem href="[^"]*\/(vm-\d)"/.exec(body)?.[1]])).toEqual([
    ['/api/vApp/vapp-1/action/recomposeVApp', 'vm-2'],
  ]);
});

test('launches a vApp of one machine with its address, whatever is in a name', async () => {
  const launch = { vdc: 'v', source: 'vm-t', networkId: 'n', network: 'a "b" & <c>' };
  expect(await cloud.driver({ launch }).perform([callTo('10.0.0.5', 'launch')], never)).toEqual([null]);
  const { path, body } = to(/compose/)[0] ?? { path: '', body: '' };
  expect(path).toBe('/api/vdc/v/action/composeVApp');
  expect(body).toContain('<NetworkConnection network="a &quot;b&quot; &amp; &lt;c&gt;">');
  expect(body).toContain('<IpAddress>10.0.0.5</IpAddress>');
  expect(body).toContain(`<Source href="${cloud.api.url}/api/vAppTemplate/vm-t"/>`);
});

test.each([
  ['<Task status="error"><Error message="no tools"/></Task>', 'ER0221'],
  ['<Task status="running"/>', undefined],
  ['<Session/>', 'ER0220'],
  ['<Task status="queued"', 'ER0220'],
  ['<!DOCTYPE x [<!ENTITY e "queued">]><Task status="&e;"/>', 'ER0220'],
])('a call answered by %s', async (body, code) => {
  const { id } = cloud.add({ state: 'POWERED_OFF' });
  cloud.api.intercept(({ path }) => (path.endsWith('powerOn') ? { status: 202, body } : null));
  const [answer] = await cloud.driver().perform([callTo(instanceKey('vcloud', id), 'start', { token: asToken('a') })], never);
  expect(answer?.code).toBe(code);
});

test('a busy machine is refused as busy', async () => {
  const { id } = cloud.add({ state: 'POWERED_OFF' });
  cloud.api.intercept(({ path }) =>
    path.endsWith('powerOn')
      ? { status: 400, body: '<Error minorErrorCode="BUSY_ENTITY" message="The entity is busy."/>' }
      : null,
  );
  const [answer] = await cloud.driver().perform([callTo(instanceKey('vcloud', id), 'start')], never);
  expect(answer).toMatchObject({ code: 'ER0206', message: expect.stringContaining('The entity is busy.') });
});

test('its password is a secret', () => {
  const password: Secret = secret('p');
  expect(vcloud({ url: 'https://vcloud.example.com/api', user: 'u', org: 'o', password }).name).toBe('vcloud');
});

test('a list that is the same on each page, and has millions by its own account, is read no further', async () => {
  const record = '<VMRecord href="https://x/api/vApp/vm-1" status="POWERED_OFF" ipAddress="10.0.0.1"/>';
  const body = `<QueryResultRecords total="9999999" pageSize="1">${record}</QueryResultRecords>`;
  cloud.api.intercept(({ path }) => (path === '/api/query' ? { body } : null));
  const { items, complete, problems } = await cloud.driver().observe(want, never);
  expect([items.length, complete]).toEqual([1, false]);
  expect(problems).toMatchObject([{ code: 'ER0235', message: expect.stringContaining('circle') }]);
  expect(cloud.api.received.filter(({ path }) => path === '/api/query')).toHaveLength(2);
});

test('a vApp that has got another machine since it was listed is not deleted with one of them', async () => {
  const record = (id: number) =>
    `<VMRecord href="https://x/api/vApp/vm-${id}" container="https://x/api/vApp/vapp-1" status="POWERED_OFF" ipAddress="10.0.0.${id}"/>`;
  let records = record(1);
  cloud.api.intercept(({ path }) => {
    if (path === '/api/query') return { body: `<QueryResultRecords total="2" pageSize="25">${records}</QueryResultRecords>` };
    return path.includes('/vApp/') ? { status: 202, body: '<Task status="queued"/>' } : null;
  });
  const driver = cloud.driver({ everyMs: 0.001 });
  await driver.observe(want, never);
  records += record(2);
  expect(await driver.perform([callTo(instanceKey('vcloud', 'vm-1'), 'terminate')], never)).toEqual([null]);
  const sent = cloud.api.received.map(({ method, path }) => `${method} ${path}`).filter((one) => one.includes('/vApp/'));
  expect(sent).toEqual(['POST /api/vApp/vapp-1/action/recomposeVApp']);
});
