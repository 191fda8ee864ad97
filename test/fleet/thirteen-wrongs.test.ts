import { type Action, asInstant, createFleet, FleetError, parseIp, type SshAnswer, type Step } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { ssh } from 'fleetbeat/adapters/ssh';
import { simulatedFleet, simulatedKinds } from 'fleetbeat/testing';
import { fromViews, read, toHeartbeat, write } from 'fleetbeat/wire';
import { expect, test } from 'vitest';
import type { Ip } from '../../src/domain/identity.ts';
import { fleetStage, pushed } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const ip = (text: string): Ip => parseIp(text) ?? (text as Ip);
const NODE13 = { name: 'node13', ip: '10.0.0.209', mode: 'mariadb', status: 'slave', state: 'uninstalled' } as const;
const withNode13 = {
  services: [NODE13, { name: 'node14', ip: '10.0.0.47', mode: 'memcache', status: 'master', state: 'stopped' }],
} as const;

const bootstrapWhen = (host: string, state: string, service: string): Step => ({
  lane: `services/${service}` as Step['lane'],
  when: { on: 'holds', level: 'instances', subject: { ip: ip(host) }, state },
  do: { level: 'instances', subject: { ip: ip(host) }, verb: 'bootstrap', upTo: 'managed' },
});

test('1: firing one action leaves all others where they are', async () => {
  const { fleet, pass } = fleetStage({ world: withNode13 });
  await fleet.beat();
  const [waits] = await fleet.arm([bootstrapWhen('10.0.0.209', 'running', 'node13')]);
  const [fires] = await fleet.arm([bootstrapWhen('10.0.0.47', 'running', 'node14')]);
  await pass(10_000);
  expect(await fleet.settled(fires?.id as Action['id'])).toMatchObject({ status: 'done' });
  expect(fleet.actions().map((action) => action.id)).toEqual([waits?.id]);
});

test('2: instances are compared by identity: another order is no change, one that vanishes is', async () => {
  const fleet = createFleet({ store: memory() });
  const item = (id: string, state: 'running' | 'stopped' = 'running') => ({
    cloud: 'c',
    id,
    ip: ip(`10.0.1.${id.length}`),
    readAt: asInstant(1),
    power: { state, raw: state },
    ssh: 'up' as const,
  });
  const beat = (seq: number, items: readonly ReturnType<typeof item>[]) =>
    fleet.observe(pushed({ seq, instances: { items, readAt: asInstant(seq), complete: true, problems: [] } }));
  await beat(1, [item('a'), item('bb'), item('ccc')]);
  expect(await beat(2, [item('ccc'), item('a'), item('bb')])).toEqual([]);
  expect((await beat(3, [item('ccc', 'stopped'), item('bb')])).map((change) => [change.kind, change.to.name])).toEqual([
    ['changed', 'ccc'],
  ]);
  expect((await beat(4, [item('ccc', 'stopped'), item('bb')])).map((change) => [change.kind, change.to.name])).toEqual([
    ['vanished', 'a'],
  ]);
});

test('3: an action armed after its state was reached fires, also across a restart', async () => {
  const { fleet, rival, pass } = fleetStage({ world: withNode13 });
  await pass(20_000);
  await fleet.stop();
  const next = rival();
  const [armed] = await next.arm([bootstrapWhen('10.0.0.47', 'running', 'node14')]);
  for (let i = 0; i < 3; i++) {
    await next.beat();
    await turns();
  }
  expect(await next.settled(armed?.id as Action['id'])).toMatchObject({ status: 'done' });
});

test('4: the queue is many keys, so that one more action than fits into one item loses none', async () => {
  const { fleet, rival } = fleetStage({ world: withNode13 });
  await fleet.beat();
  const steps = Array.from({ length: 3000 }, (_, i) => bootstrapWhen('10.0.0.209', 'running', `s${i}`));
  await Promise.all([fleet.arm(steps.slice(0, 1500)), fleet.arm(steps.slice(1500))]);
  const other = rival();
  await other.beat();
  expect(JSON.stringify(other.actions()).length).toBeGreaterThan(1024 * 1024);
  expect(new Set(other.actions().map((action) => action.lane)).size).toBe(3000);
});

test('5: two equal starts are one, with one token, an outcome and a history', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: withNode13 });
  await fleet.beat();
  const command = { level: 'services', action: 'start', group: 'node14' } as const;
  const [first, second] = [await fleet.dispatch(command), await fleet.dispatch(command)];
  expect(second.started.map((action) => action.token)).toEqual(first.started.map((action) => action.token));
  await beatUntilIdle();
  for (const action of first.started) {
    const ended = await fleet.settled(action.id);
    expect(ended).toMatchObject({ status: 'done', history: [{ outcome: 'done' }] });
  }
  expect(simulated.log.filter((effect) => effect.verb === 'start' && effect.outcome === 'applied')).toHaveLength(1);
});

test('6: the second step does not run when the first has failed', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({
    world: { ...withNode13, faults: { callRefused: 1 } },
    policy: { attempts: 1, callAttempts: 1 },
  });
  await fleet.beat();
  const reply = await fleet.dispatch({ level: 'services', action: 'start', group: 'node13' });
  await beatUntilIdle();
  expect(fleet.actions().map((action) => action.status)).toEqual(['failed', 'waiting', 'waiting']);
  expect(simulated.log).toEqual([]);
  expect(reply.deferred).toHaveLength(2);
});

test('7: a fired start sees the heartbeat that fired it, and does not defer itself again', async () => {
  const { fleet, beatUntilIdle } = fleetStage({ world: withNode13 });
  await fleet.beat();
  await fleet.dispatch({ level: 'services', action: 'start', group: 'node13' });
  const outcomes: string[] = [];
  fleet.on('action', (action) => outcomes.push(...action.history.map((attempt) => attempt.outcome)));
  await beatUntilIdle();
  expect(new Set(outcomes)).toEqual(new Set(['done']));
});

test.each(['stop', 'terminate'])('8: %s of an address that nobody has launches nothing', async (action) => {
  const { fleet, simulated, pass } = fleetStage({ world: withNode13 });
  await fleet.beat();
  const reply = await fleet.dispatch({ level: 'instances', action, group: '10.9.9.9' });
  expect(reply).toMatchObject({ code: 'ER0205', started: [], deferred: [] });
  await pass(10_000);
  expect(simulated.log).toEqual([]);
  expect(fleet.actions()).toEqual([]);
});

test('9: an action or mode that nobody handles is refused, never reported as running', async () => {
  const { fleet } = fleetStage({ world: withNode13 });
  await fleet.beat();
  expect(await fleet.dispatch({ level: 'services', action: 'dance', group: 'node13' })).toMatchObject({ code: 'ER0202' });
  const strange = { name: 'x', ip: '10.0.0.1', mode: 'cassandra', status: 'master' } as const;
  expect(() => createFleet({ store: memory(), kinds: simulatedKinds(), services: [strange] })).toThrow(FleetError);
});

test('10: a host that never answers costs a beat its deadline, and the others nothing', async () => {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const simulated = simulatedFleet({ now: clock, ...withNode13, instances: [{ id: 'i-1', ip: '10.0.0.47', state: 'running' }] });
  const hangs = { ...simulated.services, observe: () => new Promise<never>(() => {}) };
  await using fleet = createFleet({
    drivers: { instances: [simulated.instances], services: [hangs] },
    kinds: simulatedKinds(),
    services: withNode13.services,
    store: memory(),
    now: clock,
    policy: { observeMs: 50 },
  });
  const blind: string[] = [];
  fleet.on('blind', ({ source }) => blind.push(source));
  await fleet.beat();
  now += 60_000;
  await fleet.beat();
  expect(blind).toEqual(['simulated-services', 'simulated-services']);
  expect(
    fleet
      .views()
      .find((view) => view.name === 'i-1')
      ?.holds.has('running'),
  ).toBe(true);
});

test('11: no host is trusted unseen, no name reaches a shell, no secret stands in a document', async () => {
  expect(() => ssh({ username: 'u', privateKey: 'k' })).toThrow(FleetError);
  expect(() => createFleet({ store: memory(), kinds: simulatedKinds(), services: [{ ...NODE13, name: 'x; reboot' }] })).toThrow(
    'name',
  );
  const { fleet } = fleetStage();
  await fleet.beat();
  const text = write(fromViews(fleet.views(), { source: 's', epoch: 'e', seq: 1, at: asInstant(1_000_000) }));
  expect(text).not.toMatch(/password|privateKey|public_key/);
});

test('12: of two drivers the first is the active cloud, and only there is anything launched', async () => {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const one = simulatedFleet({ now: clock, cloud: 'one', instances: [], services: withNode13.services });
  const two = simulatedFleet({ now: clock, cloud: 'two', instances: [], services: [] });
  await using fleet = createFleet({
    drivers: { instances: [one.instances, two.instances], services: [one.services] },
    kinds: simulatedKinds(),
    services: withNode13.services,
    store: memory({ now: clock }),
    now: clock,
  });
  await fleet.beat();
  expect(await fleet.dispatch({ level: 'instances', action: 'launch', group: '10.0.0.209' })).toMatchObject({ code: '000000' });
  now += 2000;
  await fleet.beat();
  await turns();
  expect([one.log.length, two.log.length]).toEqual([1, 0]);
});

test('13: every heartbeat has a source, an epoch and a sequence, and sources do not overwrite each other', async () => {
  const fleet = createFleet({ store: memory() });
  const problems: string[] = [];
  fleet.on('problem', (problem) => problems.push(problem.code));
  const services = (name: string, code: string) => ({
    items: [{ name, readAt: asInstant(1), code, holds: {}, ip: ip(name === 'a' ? '10.0.2.1' : '10.0.2.2') }],
    readAt: asInstant(1),
    complete: true,
    problems: [],
  });
  const host = (address: string) => ({ host: { ips: [ip(address)] } });
  await fleet.observe(pushed({ source: '10.0.2.1', seq: 5, services: services('a', '000000'), ...host('10.0.2.1') }));
  await fleet.observe(pushed({ source: '10.0.2.2', seq: 1, services: services('a', 'ER0023'), ...host('10.0.2.2') }));
  await fleet.observe(pushed({ source: '10.0.2.1', seq: 4, services: services('a', 'ER0023'), ...host('10.0.2.1') }));
  expect(fleet.views().map((view) => [view.name, view.code])).toEqual([['a', '000000']]);
  expect(problems).toEqual(['ER0233', 'ER0234']);
  const written = read(write(fromViews(fleet.views(), { source: 's', epoch: 'e', seq: 7, at: asInstant(1_000_000) })));
  if (written.kind !== 'heartbeat') throw new TypeError(written.kind);
  expect(toHeartbeat(written, { readAt: asInstant(1), arrival: 1 })).toMatchObject({ source: 's', epoch: 'e', seq: 7 });
});

const answers: readonly SshAnswer[] = ['refused', 'timeout', 'silent', 'auth-failed', 'host-key-changed'];
test.each(answers)('an instance that the provider runs but whose ssh is %s is not running', async (answer) => {
  const { fleet, simulated, pass } = fleetStage();
  simulated.world.setSsh('10.0.0.102', answer);
  await pass(2000);
  expect(fleet.views().find((view) => view.name === 'i-987388e6')).toMatchObject({ state: 'pending', reason: `ssh ${answer}` });
});
