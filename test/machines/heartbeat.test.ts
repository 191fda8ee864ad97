import { asInstant } from 'fleetbeat';
import { heartbeatMachine, type ObserveInput } from 'fleetbeat/machines';
import { expect, test } from 'vitest';
import { createActor } from 'xstate';
import { handmade } from './stage.ts';

/** The beat of one source, with its reads in the test's hand. */
function stageHeartbeat() {
  const observe = handmade<ObserveInput, unknown>();
  const apply = handmade<{ readonly reading: unknown }, unknown>();
  const machine = heartbeatMachine.provide({ actors: { observe: observe.logic, apply: apply.logic } });
  const actor = createActor(machine, { input: { source: 'ec2' } }).start();
  let now = 0;
  return {
    observe,
    apply,
    value: () => actor.getSnapshot().value,
    context: () => actor.getSnapshot().context,
    hasTag: (tag: 'at-rest' | 'attention') => actor.getSnapshot().hasTag(tag),
    beat() {
      now += 1000;
      actor.send({ type: 'beat', now: asInstant(now) });
    },
  };
}

test('a beat reads its source and applies what was read', async () => {
  const stage = stageHeartbeat();
  stage.beat();
  expect(stage.observe.latest().input).toEqual({ source: 'ec2', now: 1000 });
  await stage.observe.answer('reading');
  expect(stage.value()).toBe('applying');
  expect(stage.apply.latest().input).toEqual({ reading: 'reading' });
  await stage.apply.answer(undefined);
  expect(stage.value()).toBe('resting');
  expect(stage.hasTag('at-rest')).toBe(true);
});

test('beats asked for while one runs are owed as one, which reads as late as the last of them', async () => {
  const stage = stageHeartbeat();
  stage.beat();
  stage.beat();
  await stage.observe.answer('first');
  stage.beat();
  expect(stage.observe.calls).toHaveLength(1);
  await stage.apply.answer(undefined);
  expect(stage.observe.calls.map(({ input }) => input.now)).toEqual([1000, 3000]);
  expect(stage.hasTag('at-rest')).toBe(false);
  await stage.observe.answer('second');
  await stage.apply.answer(undefined);
  expect(stage.value()).toBe('resting');
  expect(stage.observe.calls).toHaveLength(2);
});

test('a read that fails leaves the source blind, with attention, until one succeeds', async () => {
  const stage = stageHeartbeat();
  stage.beat();
  await stage.observe.refuse({ code: 'ER0212', message: 'too late', retryable: true });
  expect(stage.value()).toBe('blind');
  expect(stage.hasTag('attention')).toBe(true);
  expect(stage.hasTag('at-rest')).toBe(true);
  expect(stage.context().failure).toEqual({ code: 'ER0212', message: 'too late', retryable: true });
  expect(stage.apply.calls).toEqual([]);
  stage.beat();
  await stage.observe.answer('reading');
  await stage.apply.answer(undefined);
  expect(stage.value()).toBe('resting');
  expect(stage.hasTag('attention')).toBe(false);
  expect(stage.context().failure).toBeNull();
});

test('a reading that cannot be applied leaves the source blind', async () => {
  const stage = stageHeartbeat();
  stage.beat();
  await stage.observe.answer('reading');
  await stage.apply.refuse(new Error('disk full'));
  expect(stage.value()).toBe('blind');
  expect(stage.context().failure?.message).toBe('disk full');
});

test('a beat that is owed is not forgotten by going blind', async () => {
  const stage = stageHeartbeat();
  stage.beat();
  stage.beat();
  await stage.observe.refuse(new Error('down'));
  expect(stage.value()).toBe('observing');
  await stage.observe.refuse(new Error('down'));
  expect(stage.value()).toBe('blind');
  expect(stage.observe.calls).toHaveLength(2);
});
