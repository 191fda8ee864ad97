import {
  asInstant,
  type Command,
  createInventory,
  type Ip,
  type Known,
  type Power,
  parseIp,
  plan,
  type Service,
  serviceKey,
} from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import type { KindTraits } from '../../src/domain/cluster.ts';
import type { Code } from '../../src/domain/codes.ts';
import { planDo } from '../../src/domain/plan.ts';

const ip = (text: string): Ip => parseIp(text) ?? expect.unreachable(text);
const KINDS: ReadonlyMap<string, KindTraits> = new Map([
  ['mariadb', { host: 'managed', rungs: ['installed', 'up'], isConfigured: true }],
  ['memcache', { host: 'managed', rungs: ['installed', 'up'] }],
]);
const service = (name: string, at: string, mode: string): Service => ({
  name,
  ip: ip(at),
  mode,
  status: 'na',
  cluster: 'shop',
  settings: undefined,
});
const SHOP = [
  service('db1', '10.0.0.1', 'mariadb'),
  service('db2', '10.0.0.2', 'mariadb'),
  service('nosql1', '10.0.0.1', 'memcache'),
];

/** The shop, with its services seen by these codes and its instances all in one state. */
function seeing(codes: Readonly<Record<string, Code>>, power: Power = 'running'): Known {
  const inventory = createInventory({ services: SHOP });
  const readAt = asInstant(1);
  const seen = { source: 'test', epoch: 'e' };
  const instances = [...new Set(SHOP.map((one) => one.ip))].map(
    (at) =>
      ({
        cloud: 'c',
        id: `at-${at}`,
        ip: at,
        power: { state: power, raw: power },
        ssh: 'up',
        binaries: '1',
        agent: true,
        readAt,
      }) as const,
  );
  inventory.apply({ ...seen, seq: 1, instances: { items: instances, readAt, complete: true, problems: [] } }, readAt);
  const items = Object.entries(codes).map(([name, code]) => ({ name, readAt, code, holds: {} }));
  inventory.apply({ ...seen, seq: 2, services: { items, readAt, complete: true, problems: [] } }, readAt);
  return { inventory, services: SHOP, kinds: KINDS, cloud: 'c' };
}

const command = (group: string): Command => ({ level: 'services', action: 'bootstrap_config', group });
const step = (name: string, when: object = { on: 'now' }) => ({
  lane: `services/${name}`,
  when,
  do: { level: 'services', name, verb: 'bootstrap_config' },
});
const until = (level: string, subject: object, state: string) => ({ on: 'holds', level, subject, state });

test('that the configuration on a host is another one changes the view of its service, also where nothing else has changed', () => {
  const inventory = createInventory({ services: SHOP });
  const words = [true, false, true].map((configured, seq) => {
    const readAt = asInstant(seq + 1);
    const items = [{ name: 'db1', readAt, code: '000000', holds: {}, configured }];
    const changes = inventory.apply(
      { source: 'test', epoch: 'e', seq, services: { items, readAt, complete: true, problems: [] } },
      readAt,
    );
    return [changes.map(({ kind }) => kind), inventory.get(serviceKey('db1'))?.holds.has('misconfigured')];
  });
  expect(words).toEqual([
    [['appeared'], false],
    [['changed'], true],
    [['changed'], false],
  ]);
});

describe('the configuration of a service is brought in line', () => {
  test.each([
    ['000000', 'up'],
    ['ER0023', 'stopped'],
    ['ER0019', 'starting'],
    ['ER0003', 'failing'],
  ])('at once where it is seen with %s, %s', (code) => {
    expect(plan(command('db1'), seeing({ db1: code }), [])).toMatchObject({ code: '000000', rejected: [], steps: [step('db1')] });
  });

  test.each([
    ['ER0200', until('services', { key: 'services/db1' }, 'known')],
    ['ER0020', until('services', { key: 'services/db1' }, 'stopped')],
  ])('once it is known, or has stopped, where it is seen with %s', (code, when) => {
    expect(plan(command('db1'), seeing({ db1: code }), []).steps).toEqual([step('db1', when)]);
  });

  test('of a group in all that are installed, and the others are told', () => {
    const planned = plan(command('shop'), seeing({ db1: 'ER0024', db2: '000000', nosql1: '000000' }), []);
    expect(planned.steps).toEqual([step('db2')]);
    expect(planned.rejected).toEqual([
      {
        subject: 'services/db1',
        code: 'ER0206',
        message: 'services bootstrap_config db1: it is not installed; install it',
      },
    ]);
    expect(planned.code).toBe('ER0206');
  });

  test('not where its kind has none on its host; in a group, such a service is passed over', () => {
    const known = seeing({ db1: '000000', db2: '000000', nosql1: '000000' });
    expect(plan(command('nosql1'), known, [])).toMatchObject({
      code: 'ER0202',
      steps: [],
      rejected: [{ subject: 'services/nosql1', message: expect.stringContaining('a memcache has no configuration on its host') }],
    });
    expect(plan(command('all'), known, [])).toMatchObject({ code: '000000', rejected: [], steps: [step('db1'), step('db2')] });
    const armed = planDo({ level: 'services', name: 'nosql1', verb: 'bootstrap_config' }, serviceKey('nosql1'), known);
    expect(armed).toMatchObject({ is: 'rejected', problem: { code: 'ER0202' } });
  });

  test('not on an instance that does not run, and once it is known where nobody knows that', () => {
    expect(plan(command('db1'), seeing({}, 'stopped'), [])).toMatchObject({
      code: 'ER0206',
      steps: [],
      rejected: [{ message: expect.stringContaining('10.0.0.1 is stopped') }],
    });
    const unread: Known = { ...seeing({}), inventory: createInventory({ services: SHOP }) };
    expect(plan(command('db1'), unread, []).steps).toEqual([step('db1', until('instances', { ip: '10.0.0.1' }, 'known'))]);
  });
});
