import { readFileSync } from 'node:fs';
import { asInstant, createFleet, doText } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { SEED_FLEET } from 'fleetbeat/testing';
import { read, toHeartbeat, toSteps } from 'fleetbeat/wire';
import { expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';

const seed = (name: string) => readFileSync(new URL(`../support/seed/${name}`, import.meta.url), 'utf8');

test('the sample heartbeat, pushed, gives its five instances; of its services those on the host that speaks', async () => {
  const document = read(seed('heartbeat.json'), { lenient: true });
  if (document.kind !== 'heartbeat') throw new TypeError(document.kind);
  const heartbeat = toHeartbeat(document, { readAt: asInstant(1), arrival: 1 });
  expect(heartbeat.instances?.items).toHaveLength(5);
  expect(heartbeat.services?.items.map((item) => [item.name, item.code])).toEqual([
    ['node10', '000000'],
    ['node11', 'ER0003'],
    ['node12', '000000'],
    ['nosql1', '000000'],
    ['nosql2', '000000'],
    ['proxy1', '000000'],
    ['proxy2', 'ER0003'],
    ['proxy3', 'ER0003'],
    ['lb1', 'ER0003'],
    ['lb2', 'ER0003'],
    ['lb3', '000000'],
    ['lb4', '000000'],
  ]);
  const fleet = createFleet({ store: memory() });
  await fleet.observe(heartbeat);
  const names = (level: string) => fleet.views().flatMap((view) => (view.level === level ? [view.name] : []));
  expect(names('instances')).toHaveLength(5);
  expect(names('services')).toEqual(['node10', 'nosql1', 'proxy1', 'lb1', 'lb3']);
});

test('the sample actions: the first fires when 10.0.0.102 is running, not before, the second when the first has succeeded', async () => {
  const instances = SEED_FLEET.instances.map((one) => (one.ip === '10.0.0.102' ? { ...one, state: 'stopped' as const } : one));
  const { fleet, simulated, pass, beatUntilIdle } = fleetStage({ world: { instances } });
  await fleet.beat();
  const document = read(seed('actions.json'));
  if (document.kind !== 'actions') throw new TypeError(document.kind);
  const armed = await fleet.arm(toSteps(document, { cloud: 'simulated' }));
  expect(armed.map((action) => doText(action.do))).toEqual(['instances bootstrap 10.0.0.102 managed', 'services start node10']);
  await pass(30_000);
  expect(simulated.log).toEqual([]);
  expect(fleet.actions().map((action) => action.status)).toEqual(['waiting', 'waiting']);

  const fired: string[] = [];
  fleet.on('action', ({ do: what, status }) => {
    if (status === 'dispatching' || status === 'done') fired.push(`${what.verb} ${status}`);
  });
  fleet.on('changed', ({ to }) => {
    if (to.ip === '10.0.0.102' && to.level === 'instances') fired.push(to.state);
  });
  await fleet.dispatch({ level: 'instances', action: 'start', group: '10.0.0.102' });
  await beatUntilIdle();
  expect(fired).toEqual([
    'start dispatching',
    'pending',
    'pending',
    'ssh-up',
    'start done',
    'bootstrap dispatching',
    'bootstrapped',
    'managed',
    'bootstrap done',
    'start dispatching',
    'start done',
  ]);
});
