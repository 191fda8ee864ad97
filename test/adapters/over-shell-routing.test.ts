import { memory } from 'fleetbeat/adapters/memory';
import { describe, expect, test } from 'vitest';
import { type AnyServiceKind, defineServiceKind, type PermittedCall, type ServiceKind, type Shell } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp, serviceKey } from '../../src/domain/identity.ts';
import type { Role, Service, ServiceFacts } from '../../src/domain/service.ts';
import type { View } from '../../src/domain/view.ts';
import { overShell } from '../../src/drivers/over-shell.ts';
import { FleetError } from '../../src/errors.ts';
import { createFleet } from '../../src/fleet.ts';
import { turns } from '../support/turns.ts';

const never = new AbortController().signal;
const shell: Shell = {
  reachable: async () => 'up',
  run: async () => ({ exit: 0, stdout: '', stderr: '' }),
  put: async () => {},
};

type Seen = Partial<ServiceFacts> | Error;

/** What each balancer is seen as in the next reading, and what has been done to it. */
interface Scene {
  readonly facts: Map<string, Seen | Promise<Seen>>;
  readonly log: string[];
}

const database = (over: Partial<ServiceKind<object>> = {}): AnyServiceKind =>
  defineServiceKind<object>({
    mode: 'db',
    host: 'ssh-up',
    ladder: ['installed', 'up', 'routed'],
    settings: () => ({}),
    probe: async ({ name }) => ({ name, readAt: asInstant(0), code: '000000', holds: { installed: true, up: true } }),
    steps: { installed: async () => {}, up: async () => {} },
    ...over,
  });

const balancer = ({ facts, log }: Scene, over: Partial<ServiceKind<object>> = {}): AnyServiceKind =>
  defineServiceKind<object>({
    mode: 'lb',
    host: 'ssh-up',
    ladder: ['installed', 'up'],
    settings: () => ({}),
    async probe({ name }) {
      const seen = await facts.get(name);
      if (seen instanceof Error) throw seen;
      return { name, readAt: asInstant(0), code: '000000', holds: { installed: true, up: true }, ...seen };
    },
    steps: { up: async ({ name }) => void log.push(`${name} up`) },
    async route({ name }) {
      log.push(`${name} begins`);
      await turns();
      log.push(`${name} ends`);
    },
    ...over,
  });

const serviceOf = (name: string, mode: string, cluster?: string, status: Role = 'standalone'): Service => ({
  name,
  ip: parseIp('10.0.0.1') as Ip,
  mode,
  status,
  settings: {},
  ...(cluster !== undefined && { cluster }),
});

const callTo = (name: string, valid = () => true): PermittedCall => ({
  call: { do: { level: 'services', name, verb: 'start' }, step: 'routed' },
  permit: { token: asToken(crypto.randomUUID()), fence: 1, valid },
});

/** A database in a cluster of two balancers. */
function stage(
  seen: Readonly<Record<string, Partial<ServiceFacts> | Error>> = {},
  views: Readonly<Record<string, Partial<View>>> = {},
) {
  const scene: Scene = { facts: new Map(Object.entries(seen)), log: [] };
  const driver = overShell([database(), balancer(scene)], shell, { fence: false });
  const services = [serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop'), serviceOf('lb2', 'lb', 'shop')];
  const among = {
    services: () => services,
    view: (key: string) => views[key] as View | undefined,
  };
  driver.bind?.(services, among);
  return { driver, ...scene };
}

async function routedIn({ driver }: Pick<ReturnType<typeof stage>, 'driver'>, name = 'db1') {
  const { items } = await driver.observe({ now: asInstant(1), maxAgeMs: 0 }, never);
  const facts = items.find((one) => one.name === name);
  return { routed: facts?.holds.routed, reason: facts?.reason };
}

const lists = (...routes: readonly string[]) => ({ routes });
const stopped: Partial<ServiceFacts> = { code: 'ER0023', holds: { installed: true, up: false } };
const away = new FleetError('ER0241', '10.0.0.2 is away');
const hostLost = { [serviceKey('lb2')]: { hostLost: true, state: 'unknown' } } as const;

describe('the rung routed of a service', () => {
  test.each<[string, Parameters<typeof stage>, boolean | undefined]>([
    ['holds when every balancer of its cluster lists it', [{ lb1: lists('db1'), lb2: lists('db2', 'db1') }], true],
    ['is lost when one of them does not', [{ lb1: lists('db1'), lb2: lists() }], false],
    ['is lost when one does not, whatever cannot be asked', [{ lb1: lists(), lb2: away }], false],
    ['cannot be told while one of them cannot be asked', [{ lb1: lists('db1'), lb2: away }], undefined],
    ['cannot be told while one runs and does not say where to it routes', [{ lb1: lists('db1'), lb2: {} }], undefined],
    ['holds beside a balancer that is stopped', [{ lb1: lists('db1'), lb2: stopped }], true],
    ['holds beside a balancer whose instance does not run', [{ lb1: lists('db1'), lb2: away }, hostLost], true],
    ['is lost when no balancer runs', [{ lb1: stopped, lb2: away }, hostLost], false],
  ])('%s', async (_, [seen, views], routed) => {
    expect(await routedIn(stage(seen, views))).toMatchObject({ routed });
  });

  describe('while a balancer is late', () => {
    const late = new Promise<Seen>(() => {});
    const read = async ({ driver }: Pick<ReturnType<typeof stage>, 'driver'>) =>
      (await driver.observe({ now: asInstant(1), maxAgeMs: 0, waitMs: 30 }, never)).items.map(({ name, code, holds }) => [
        name,
        code,
        holds.routed,
      ]);

    test('has no word of what it may route to, which nobody could say is routed', async () => {
      const staged = stage({ lb1: lists('db1'), lb2: lists('db1') });
      expect(await read(staged)).toContainEqual(['db1', '000000', true]);
      staged.facts.set('lb2', late);
      expect(await read(staged)).toEqual([['lb1', '000000', undefined]]);
    });

    test('has the word of what is lost', async () => {
      let code: ServiceFacts['code'] = '000000';
      const scene: Scene = { facts: new Map([['lb1', lists('db1')]]), log: [] };
      const kind = database({ probe: async ({ name }) => ({ name, readAt: asInstant(0), code, holds: {} }) });
      const driver = overShell([kind, balancer(scene)], shell);
      driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop')]);
      await read({ driver });
      scene.facts.set('lb1', late);
      code = 'ER0023';
      expect(await read({ driver })).toEqual([['db1', 'ER0023', undefined]]);
    });

    test('cannot be told where that one did not answer before either', async () => {
      const staged = stage({ lb1: lists('db1'), lb2: away });
      await read(staged);
      staged.facts.set('lb2', late);
      expect(await read(staged)).toContainEqual(['db1', '000000', undefined]);
    });
  });

  test('says which balancer it is that does not list it, or cannot be asked', async () => {
    expect((await routedIn(stage({ lb1: lists('db1'), lb2: lists() }))).reason).toBe('not up for lb2');
    expect((await routedIn(stage({ lb1: lists('db1'), lb2: away }))).reason).toContain('lb2 could not be asked');
  });

  test.each([
    [true, 'not up for lb1; of its own'],
    [false, 'of its own'],
  ])('is told beside a reason of its own where it has all rungs below (%s), else that alone is', async (installed, reason) => {
    const scene: Scene = { facts: new Map([['lb1', lists()]]), log: [] };
    const kind = database({
      probe: async ({ name }) => ({
        name,
        readAt: asInstant(0),
        code: '000000',
        holds: { installed, up: true },
        reason: 'of its own',
      }),
    });
    const driver = overShell([kind, balancer(scene)], shell);
    driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop')]);
    expect(await routedIn({ driver })).toEqual({ routed: false, reason });
  });

  test('holds where its cluster has no balancers, or it has no cluster', async () => {
    const scene: Scene = { facts: new Map([['lb1', lists()]]), log: [] };
    const driver = overShell([database(), balancer(scene)], shell);
    driver.bind?.([
      serviceOf('db1', 'db', 'shop'),
      serviceOf('db2', 'db'),
      serviceOf('lb1', 'lb', 'other'),
      serviceOf('lb2', 'lb'),
    ]);
    expect(await routedIn({ driver })).toEqual({ routed: true, reason: undefined });
    expect(await routedIn({ driver }, 'db2')).toEqual({ routed: true, reason: undefined });
  });

  test('holds where no balancer is to route to it', async () => {
    const scene: Scene = { facts: new Map([['lb1', lists()]]), log: [] };
    const kind = balancer(scene, {
      backends: (_, among) =>
        among
          .services()
          .filter(({ status }) => status !== 'discard')
          .map(({ name }) => name),
    });
    const driver = overShell([database(), kind], shell);
    driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('db2', 'db', 'shop', 'discard'), serviceOf('lb1', 'lb', 'shop')]);
    expect(await routedIn({ driver })).toMatchObject({ routed: false });
    expect(await routedIn({ driver }, 'db2')).toMatchObject({ routed: true });
  });

  test.each([true, false])('is what its own probe says, where that says: %s', async (own) => {
    const scene: Scene = { facts: new Map([['lb1', lists(own ? '' : 'db1')]]), log: [] };
    const kind = database({
      probe: async ({ name }) => ({ name, readAt: asInstant(0), code: '000000', holds: { up: true, routed: own } }),
    });
    const driver = overShell([kind, balancer(scene)], shell);
    driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop')]);
    expect(await routedIn({ driver })).toMatchObject({ routed: own });
  });
});

describe('the step routed of a service', () => {
  test('configures each balancer of its cluster', async () => {
    const { driver, log } = stage();
    expect(await driver.perform([callTo('db1')], never)).toEqual([null]);
    expect([...log].sort()).toEqual(['lb1 begins', 'lb1 ends', 'lb2 begins', 'lb2 ends']);
  });

  test('configures one balancer for several services one after the other', async () => {
    const { driver, log } = stage();
    await Promise.all([driver.perform([callTo('db1')], never), driver.perform([callTo('db1')], never)]);
    expect(log.filter((line) => line.startsWith('lb1'))).toEqual(['lb1 begins', 'lb1 ends', 'lb1 begins', 'lb1 ends']);
  });

  test('leaves those alone that do not run, for they take their configuration when they are started', async () => {
    const { driver, log } = stage({}, { [serviceKey('lb1')]: { state: 'stopped' }, [serviceKey('lb2')]: { state: 'up' } });
    expect(await driver.perform([callTo('db1')], never)).toEqual([null]);
    expect(log).toEqual(['lb2 begins', 'lb2 ends']);
  });

  test('fails where none of them runs', async () => {
    const { driver } = stage({}, { [serviceKey('lb1')]: { state: 'uninstalled' }, ...hostLost });
    expect(await driver.perform([callTo('db1')], never)).toMatchObject([{ subject: 'db1', code: 'ER0218' }]);
  });

  test('fails with the reason of a balancer that could not be configured, after the others are', async () => {
    const scene: Scene = { facts: new Map(), log: [] };
    const kind = balancer(scene, {
      async route({ name }) {
        if (name === 'lb1') throw new FleetError('ER0018', 'lb1: the disk is full');
        await turns();
        scene.log.push(`${name} ends`);
      },
    });
    const driver = overShell([database(), kind], shell);
    driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop'), serviceOf('lb2', 'lb', 'shop')]);
    expect(await driver.perform([callTo('db1')], never)).toEqual([
      { subject: 'db1', code: 'ER0018', message: 'db1: lb1: the disk is full' },
    ]);
    expect(scene.log).toEqual(['lb2 ends']);
  });

  test('configures nothing more once the permit has ended', async () => {
    const { driver, log } = stage();
    expect(await driver.perform([callTo('db1', () => false)], never)).toMatchObject([{ code: 'ER0217' }]);
    expect(log).toEqual([]);
  });

  test('is its own where its kind has one', async () => {
    const scene: Scene = { facts: new Map(), log: [] };
    const kind = database({ steps: { routed: async () => void scene.log.push('own') } });
    const driver = overShell([kind, balancer(scene)], shell);
    driver.bind?.([serviceOf('db1', 'db', 'shop'), serviceOf('lb1', 'lb', 'shop')]);
    await driver.perform([callTo('db1')], never);
    expect(scene.log).toEqual(['own']);
  });
});

describe('a fleet with a balancer', () => {
  function fleetWith(scene: Scene) {
    let now = 1_000_000;
    const kinds = [database(), balancer(scene)];
    const services = [
      { name: 'db1', ip: '10.0.0.1', mode: 'db', status: 'standalone', cluster: 'shop' },
      { name: 'lb1', ip: '10.0.0.2', mode: 'lb', status: 'standalone', cluster: 'shop' },
    ] as const;
    const instances = {
      name: 'lab',
      everyMs: 1000,
      perform: async () => [],
      observe: async () => ({
        items: ['10.0.0.1', '10.0.0.2'].map((ip) => ({
          key: `instances/lab/${ip}`,
          cloud: 'lab',
          id: ip,
          name: ip,
          ip: parseIp(ip) as Ip,
          readAt: asInstant(now),
          power: { state: 'running' as const, raw: 'running' },
          ssh: 'up' as const,
        })),
        readAt: asInstant(now),
        complete: true,
        problems: [],
      }),
    };
    const fleet = createFleet({
      kinds,
      services,
      drivers: { instances: [instances as never], services: [overShell(kinds, shell, { fence: false })] },
      store: memory({ now: () => asInstant(now) }),
      now: () => asInstant(now),
    });
    const beat = async (times = 1) => {
      for (let i = 0; i < times; i++) {
        now += 1000;
        await fleet.beat();
        await turns();
      }
    };
    const state = (name: string) => fleet.views().find((view) => view.name === name)?.state;
    return { fleet, beat, state };
  }

  test('routes to a service once a balancer runs, which costs no attempt, and not again when that is lost', async () => {
    const scene: Scene = { facts: new Map([['lb1', stopped]]), log: [] };
    const { fleet, beat, state } = fleetWith(scene);
    await beat(2);
    await fleet.dispatch({ level: 'services', action: 'start', group: 'db1' });
    await beat(20);
    expect([state('db1'), scene.log]).toEqual(['up', []]);

    scene.facts.set('lb1', lists());
    await beat(3);
    expect(scene.log).toEqual(['lb1 begins', 'lb1 ends']);
    scene.facts.set('lb1', lists('db1'));
    await beat(3);
    expect([state('db1'), fleet.actions().length]).toEqual(['routed', 0]);

    scene.facts.set('lb1', lists());
    await beat(5);
    expect([state('db1'), scene.log]).toEqual(['up', ['lb1 begins', 'lb1 ends']]);
    await fleet.dispatch({ level: 'services', action: 'start', group: 'db1' });
    await beat(3);
    expect(scene.log).toEqual(Array(2).fill(['lb1 begins', 'lb1 ends']).flat());
    await fleet.stop();
  });
});
