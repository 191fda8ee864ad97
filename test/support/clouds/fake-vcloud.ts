import { secret, vcloud } from 'fleetbeat/adapters/libcloud/vcloud';
import { type ApiReply, type ApiRequest, apiServer } from './api-server.ts';
import { CANARY, type FakeCloud, type FakeMachine, power, QUICK } from './fake-cloud.ts';

export interface FakeVcloud extends FakeCloud {
  pageSize: number;
  /** Machines whose address stands only in their vApp, as in old versions. */
  isOld: boolean;
  /** What stands around the attributes of the next records, such as a running task. */
  extra: string;
  expire(): void;
}

const NAMESPACE = 'xmlns="http://www.vmware.com/vcloud/v1.5"';

/** Sessions, the query service, vApps and tasks: each vApp has one machine, whose ids differ in their first word. */
export async function fakeVcloud(): Promise<FakeVcloud> {
  const machines: FakeMachine[] = [];
  const effects: string[] = [];
  let tokens = 0;
  let valid = '';

  const xml = (status: number, body: string): ApiReply => ({ status, headers: { 'content-type': 'application/*+xml' }, body });
  const refuse = (status: number, minor: string, message: string): ApiReply =>
    xml(status, `<Error ${NAMESPACE} majorErrorCode="${status}" minorErrorCode="${minor}" message="${message}"/>`);
  const queued = (operation: string): ApiReply =>
    xml(202, `<Task ${NAMESPACE} status="queued" operationName="${operation}" href="${fake.api.url}/api/task/t1"/>`);
  const vAppOf = ({ id }: FakeMachine) => id.replace('vm-', 'vapp-');

  const record = (machine: FakeMachine) => {
    const { id, ip, state, tag } = machine;
    const status = typeof state === 'string' ? `status="${state}"` : '';
    const address = ip === null || fake.isOld ? '' : `ipAddress="${ip}"`;
    return `<VMRecord href="https://vcloud/api/vApp/${id}" container="https://vcloud/api/vApp/${vAppOf(machine)}" ${status} ${address}
      containerName="${tag ?? 'a &amp; b'}" name="name of ${id}" isVAppTemplate="false" ${fake.extra}/>`;
  };

  function query({ query: asked }: ApiRequest): ApiReply {
    const page = Number(asked.get('page') ?? 1);
    const size = Math.min(Number(asked.get('pageSize') ?? 25), fake.pageSize);
    const records = machines.slice((page - 1) * size, page * size).map(record);
    const attributes = `name="vm" page="${page}" pageSize="${size}" total="${machines.length}"`;
    return xml(
      200,
      `<?xml version="1.0"?><QueryResultRecords ${NAMESPACE} ${attributes}>${records.join('')}</QueryResultRecords>`,
    );
  }

  const vApp = ({ id, ip }: FakeMachine): ApiReply =>
    xml(
      200,
      `<VApp ${NAMESPACE}><Children><Vm href="https://vcloud/api/vApp/${id}"><NetworkConnectionSection>
      <PrimaryNetworkConnectionIndex>1</PrimaryNetworkConnectionIndex>
      <NetworkConnection network="other"><NetworkConnectionIndex>0</NetworkConnectionIndex><IpAddress>10.7.7.7</IpAddress></NetworkConnection>
      <NetworkConnection network="net"><NetworkConnectionIndex>1</NetworkConnectionIndex><IpAddress>${ip ?? ''}</IpAddress></NetworkConnection>
      </NetworkConnectionSection></Vm></Children></VApp>`,
    );

  function compose({ body }: ApiRequest): ApiReply {
    const ip = /<IpAddress>(.*?)<\/IpAddress>/.exec(body)?.[1] ?? null;
    const machine = fake.add({ ip, state: 'POWERED_ON', tag: /<ComposeVAppParams name="([^"]*)"/.exec(body)?.[1] ?? '' });
    effects.push(`launch ${ip}`);
    return xml(
      201,
      `<VApp ${NAMESPACE} status="0" href="https://vcloud/api/vApp/${vAppOf(machine)}"><Tasks><Task status="queued"/></Tasks></VApp>`,
    );
  }

  function act(machine: FakeMachine, action: string): ApiReply {
    const isOn = machine.state === 'POWERED_ON';
    if (action === 'power/action/powerOn') {
      if (isOn) return refuse(400, 'BAD_REQUEST', 'The requested operation could not be executed since vApp is not powered off.');
      power(fake, machine, 'start', 'POWERED_ON');
    } else if (action === 'action/undeploy') {
      if (!isOn) return refuse(400, 'BAD_REQUEST', 'The requested operation could not be executed since vApp is not running.');
      power(fake, machine, 'stop', 'POWERED_OFF');
    } else power(fake, machine, 'reboot', 'POWERED_ON');
    return queued(action);
  }

  const api = await apiServer((request) => {
    const { method, path, headers } = request;
    if (method === 'POST' && path === '/api/sessions') {
      const basic = Buffer.from(`admin@shop:${CANARY}`).toString('base64');
      if (headers.authorization !== `Basic ${basic}`) return { status: 401 };
      valid = `session-${CANARY}-${++tokens}`;
      return { headers: { 'x-vcloud-authorization': valid }, body: `<Session ${NAMESPACE} user="admin" org="shop"/>` };
    }
    if (headers['x-vcloud-authorization'] !== valid) return { status: 401 };
    if (path === '/api/query') return query(request);
    if (/^\/api\/vdc\/[^/]+\/action\/composeVApp$/.test(path)) return compose(request);
    const [, kind, uuid, action] = /^\/api\/vApp\/(vm|vapp)-([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    const machine = machines.find(({ id }) => id === `vm-${uuid}`);
    if (!machine)
      return refuse(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'No access to entity &quot;(com.vmware.vcloud.entity)&quot;.');
    if (method === 'GET' && kind === 'vapp') return vApp(machine);
    if (method === 'POST' && action) return act(machine, action);
    if (machine.state === 'POWERED_ON') return refuse(400, 'BAD_REQUEST', 'The vApp is running.');
    machines.splice(machines.indexOf(machine), 1);
    effects.push(`terminate ${machine.id}`);
    return queued('vdcDeleteVapp');
  });

  const fake: FakeVcloud = {
    name: 'vcloud',
    words: { running: 'POWERED_ON', stopped: 'POWERED_OFF' },
    api,
    machines,
    effects,
    pageSize: 128,
    isOld: false,
    extra: '',
    expire() {
      valid = 'none';
    },
    add(machine) {
      const made = { id: `vm-8c57-${machines.length + effects.length}`, ip: null, state: 'POWERED_ON', ...machine };
      machines.push(made);
      return made;
    },
    driver: (options = {}) =>
      vcloud({
        ...QUICK,
        allow: [api.host],
        url: `${api.url}/api`,
        user: 'admin',
        org: 'shop',
        password: secret(CANARY),
        launch: { vdc: 'vdc1', source: 'vm-template', networkId: 'n1', network: 'net' },
        ...options,
      }),
    close: () => api.close(),
  };
  return fake;
}
