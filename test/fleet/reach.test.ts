import { asActionId, instanceKey, NOW, type Step, serviceKey, type Trigger } from 'fleetbeat';
import { expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';

const step = (when: Trigger): Step => ({
  lane: serviceKey('node10'),
  when,
  do: { level: 'services', name: 'node10', verb: 'start' },
});
const on = (key: ReturnType<typeof serviceKey>, state: string): Trigger => ({
  on: 'holds',
  level: key.startsWith('services/') ? 'services' : 'instances',
  subject: { key },
  state,
});

test.each<[string, Trigger, string]>([
  ['a word that no chart has', on(serviceKey('node10'), 'runnning'), 'runnning'],
  ['a service that nobody knows', on(serviceKey('nobody'), 'up'), 'nobody'],
  ['a rung that the kind does not have', on(serviceKey('nosql1'), 'replicating'), 'no replicating'],
  ['more than there is', { on: 'atLeast', count: 2, of: [NOW] }, 'more than there is'],
  ['all of what one part cannot', { on: 'all', of: [NOW, on(serviceKey('nobody'), 'up')] }, 'nobody'],
])('what waits for %s is refused, and nothing is armed', async (_, when, said) => {
  const { fleet } = fleetStage();
  await fleet.beat();
  const refused = fleet.arm([step(NOW), step(when)]);
  await expect(refused).rejects.toMatchObject({ code: 'ER0236' });
  await expect(refused).rejects.toThrow(said);
  expect(fleet.actions()).toEqual([]);
});

test('what one part of any can still reach is armed', async () => {
  const { fleet } = fleetStage();
  await fleet.beat();
  const armed = await fleet.arm([step({ on: 'any', of: [on(serviceKey('nobody'), 'up'), on(serviceKey('node10'), 'stopped')] })]);
  expect(armed).toHaveLength(1);
  expect(fleet.stuck()).toEqual([]);
});

test('an action whose instance is terminated while it waits is told as stuck, once', async () => {
  const { fleet, pass } = fleetStage();
  await fleet.beat();
  const told: string[] = [];
  fleet.on('problem', (problem) => problem.code === 'ER0236' && told.push(problem.subject));
  const [waits] = await fleet.arm([step(on(instanceKey('simulated', 'i-7fba6203'), 'running'))]);
  await pass(4000);
  expect(fleet.stuck()).toEqual([]);
  await fleet.dispatch({ level: 'instances', action: 'terminate', group: 'i-7fba6203' });
  await pass(60_000);
  expect(told).toEqual([waits?.id]);
  expect(fleet.stuck()).toMatchObject([{ subject: waits?.id, message: expect.stringContaining('terminated') }]);
  await fleet.cancel(waits?.id ?? asActionId(''));
  await pass(2000);
  expect(fleet.stuck()).toEqual([]);
});
