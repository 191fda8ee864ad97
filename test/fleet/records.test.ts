import { createFleet } from 'fleetbeat';
import { expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';

const START = { level: 'services', action: 'start', group: 'node11' } as const;

async function storedAction() {
  const { fleet, store } = fleetStage({ fleet: { allow: () => 'not now' } });
  await fleet.beat();
  const { started } = await fleet.dispatch(START);
  const id = started[0]?.id ?? '';
  await fleet.stop();
  const text = (await store.get(`a:${id}`)) ?? '';
  return { store, id, text };
}

test('a record of another version is set aside and told, never dropped', async () => {
  const { store, id, text } = await storedAction();
  const future = text.replace('"version":1', '"version":9');
  await store.set(`a:${id}`, future);
  const fleet = createFleet({ store });
  const problems: string[] = [];
  fleet.on('problem', (problem) => problems.push(`${problem.subject} ${problem.code} ${problem.message}`));
  await fleet.beat();
  expect(fleet.actions()).toEqual([]);
  expect(problems).toEqual([expect.stringContaining(`${id} ER0237`)]);
  expect(problems[0]).toContain('x:1');
  expect(await store.get('x:1')).toBe(future);
});

test('a record of an earlier version goes on where migrate brings it to the present one', async () => {
  const { store, id, text } = await storedAction();
  const { action } = JSON.parse(text);
  await store.set(`a:${id}`, JSON.stringify({ version: 0, old: action }));
  const fleet = createFleet({
    store,
    migrate: (record) => ({ version: 1, action: (record as { old: unknown }).old }),
  });
  await fleet.beat();
  expect(fleet.actions().map((one) => one.id)).toEqual([id]);
});

test('what is no record at all is set aside when its action is armed again', async () => {
  const { id } = await storedAction();
  const stage = fleetStage();
  await stage.store.set(`a:${id}`, 'rubbish');
  await stage.fleet.beat();
  await stage.fleet.dispatch(START);
  expect(await stage.store.get('x:1')).toBe('rubbish');
  expect(stage.fleet.actions().map((one) => one.id)).toEqual([id]);
});
