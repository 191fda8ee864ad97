import { asInstant } from 'fleetbeat';
import { actionMachine, instanceMachine, serviceMachine } from 'fleetbeat/machines';
import { describe, expect, test } from 'vitest';
import type { AnyStateMachine } from 'xstate';
import { turns } from '../support/turns.ts';
import { stageAction } from './action-stage.ts';
import { isLeaf, statesOf } from './chart.ts';
import * as instance from './instance-stage.ts';
import * as service from './service-stage.ts';
import { LIMITS } from './stage.ts';

type History<TStage> = readonly ((stage: TStage) => unknown)[];

/** Plays a history, cut by the end of one life and the beginning of another before each of the steps named. */
async function play<TStage extends { restart(): void }>(
  stage: TStage,
  history: History<TStage>,
  cuts: readonly number[],
): Promise<TStage> {
  for (const [i, step] of history.entries()) {
    if (cuts.includes(i)) {
      stage.restart();
      await turns(1);
    }
    await step(stage);
  }
  return stage;
}

/** Once before every step alone, and before all of them. */
const waysToCut = (history: readonly unknown[]): readonly (readonly number[])[] => [
  ...history.map((_, i) => [i]),
  history.map((_, i) => i),
];

type Entity = ReturnType<typeof instance.stageInstance>;

const INSTANCE: Readonly<Record<string, History<Entity>>> = {
  'a start that is refused, joined, and seen': [
    (stage) => stage.beat('stopped'),
    (stage) => stage.ask(instance.START, { token: 'A' }),
    (stage) => stage.ask(instance.LAUNCH, { token: 'B' }),
    (stage) => stage.refuse(),
    (stage) => stage.beat('stopped', { after: 100 }),
    (stage) => stage.beat('stopped', { after: 5000 }),
    (stage) => stage.accept(),
    (stage) => stage.beat('pending'),
    (stage) => stage.beat('ssh-up'),
    (stage) => stage.beat('managed'),
  ],
  'a reboot that is seen only after it has failed': [
    (stage) => stage.beat('managed', { mark: 'boot-1' }),
    (stage) => stage.ask(instance.REBOOT),
    (stage) => stage.perform.answer(undefined),
    (stage) => stage.beat('managed', { mark: 'boot-1' }),
    (stage) => stage.beat('unreachable', { mark: 'boot-1', after: LIMITS.settleMs }),
    (stage) => stage.beat('ssh-up', { mark: 'boot-1' }),
    (stage) => stage.beat('ssh-up', { mark: 'boot-2' }),
  ],
  'a start that a stop pre-empts, and an end that terminate brings': [
    (stage) => stage.beat('pending'),
    (stage) => stage.ask(instance.START),
    (stage) => stage.accept(),
    (stage) => stage.ask(instance.STOP, { token: 'S' }),
    (stage) => stage.cancel('S'),
    (stage) => stage.ask(instance.TERMINATE, { token: 'T' }),
    (stage) => stage.beat('shutting-down'),
    (stage) => stage.beat('terminated', { gone: true }),
    (stage) => stage.beat('absent', { gone: true }),
  ],
};

type Service = ReturnType<typeof service.stageService>;

const SERVICE: Readonly<Record<string, History<Service>>> = {
  'a start that climbs every rung, waits for its needs, and fails once on the way': [
    (stage) => stage.beat('uninstalled'),
    (stage) => stage.ask(service.START),
    (stage) => stage.accept(),
    (stage) => stage.beat('stopped'),
    (stage) => stage.refuse(),
    (stage) => stage.beat('stopped', { after: 5000 }),
    (stage) => stage.accept(),
    (stage) => stage.beat('up', { unmet: ['services/node1'] }),
    (stage) => stage.beat('up', { unmet: ['services/node1'] }),
    (stage) => stage.beat('up'),
    (stage) => stage.accept(),
    (stage) => stage.beat('replicating'),
    (stage) => stage.accept(),
    (stage) => stage.beat('replicating'),
    (stage) => stage.beat('routed'),
  ],
  'a stop that fails with its host and comes true all the same': [
    (stage) => stage.beat('up'),
    (stage) => stage.ask(service.STOP),
    (stage) => stage.accept(),
    (stage) => stage.beat('stopping'),
    (stage) => stage.beat('unknown', { hostLost: true }),
    (stage) => stage.beat('unknown'),
    (stage) => stage.beat('stopped'),
  ],
};

type Deferred = ReturnType<typeof stageAction>;

const ACTION: Readonly<Record<string, History<Deferred>>> = {
  'a dispatch that fails, is deferred, and is done': [
    (stage) => stage.beat(),
    (stage) => stage.beat({ holds: true }),
    (stage) => stage.win(),
    (stage) => stage.refuse(),
    (stage) => stage.beat({ after: 100 }),
    (stage) => stage.beat({ after: 5000 }),
    (stage) => stage.win(8),
    (stage) => stage.dispatch.answer({ outcome: 'deferred', action: { ...stage.action(), when: { on: 'now' } } }),
    (stage) => stage.beat({ holds: true }),
    (stage) => stage.win(9),
    (stage) => stage.dispatch.answer({ outcome: 'done', code: '000000' }),
  ],
  'a claim that is lost, an expiry that fails it, and a retry that is cancelled': [
    (stage) => stage.beat({ holds: true }),
    (stage) => stage.claim.answer({ outcome: 'lost' }),
    (stage) => stage.beat({ after: 10_000, holds: true }),
    (stage) => stage.beat({ after: 60_000 }),
    (stage) => stage.decide('retry'),
    (stage) => stage.decide('cancel'),
  ],
  'a failure for good that is discarded': [
    (stage) => stage.fire(),
    (stage) => stage.refuse({ retryable: false }),
    (stage) => stage.decide('discard'),
  ],
};

const stageDeferred = () => stageAction({ expiresAt: asInstant(50_000), onExpire: 'fail' });

describe('an entity that is saved and restored anywhere comes to the same end', () => {
  const endOf = (stage: Entity | Service) => ({ value: stage.snapshot().value, context: stage.context(), heard: stage.heard });

  test.each(Object.entries(INSTANCE))('instance: %s', async (_, history) => {
    const whole = endOf(await play(instance.stageInstance(), history, []));
    expect(whole.heard.length).toBeGreaterThan(0);
    for (const cuts of waysToCut(history)) expect(endOf(await play(instance.stageInstance(), history, cuts))).toEqual(whole);
  });

  test.each(Object.entries(SERVICE))('service: %s', async (_, history) => {
    const whole = endOf(await play(service.stageService(), history, []));
    expect(whole.heard.length).toBeGreaterThan(0);
    for (const cuts of waysToCut(history)) expect(endOf(await play(service.stageService(), history, cuts))).toEqual(whole);
  });
});

describe('an action that is saved and restored anywhere comes to the same end', () => {
  const endOf = (stage: Deferred) => ({ value: stage.value(), context: stage.context() });

  test.each(Object.entries(ACTION))('%s', async (_, history) => {
    const whole = endOf(await play(stageDeferred(), history, []));
    expect(whole.value).toMatch(/^(done|cancelled)$/);
    for (const cuts of waysToCut(history)) expect(endOf(await play(stageDeferred(), history, cuts))).toEqual(whole);
  });
});

test('these histories stand, before some step, in every state that an actor rests in', async () => {
  const stood = new Set<string>();
  const watch = async <TStage>(id: string, stage: TStage, history: History<TStage>, where: (stage: TStage) => string) => {
    for (const step of history) {
      stood.add(`${id}.${where(stage)}`);
      await step(stage);
    }
    stood.add(`${id}.${where(stage)}`);
  };
  for (const history of Object.values(INSTANCE))
    await watch('instance.operation', instance.stageInstance(), history, (stage) => stage.operation());
  for (const history of Object.values(SERVICE))
    await watch('service.operation', service.stageService(), history, (stage) => stage.operation());
  for (const history of Object.values(ACTION)) await watch('action', stageDeferred(), history, (stage) => stage.value());

  const rests = [instanceMachine, serviceMachine, actionMachine]
    .flatMap((machine) => statesOf(machine as unknown as AnyStateMachine))
    .filter((state) => isLeaf(state) && state.path[0] !== 'observed')
    .map((state) => state.id);
  const elsewhere = ['service.operation.busy.climbing', 'action.expired'];
  expect(rests.filter((id) => !stood.has(id))).toEqual(elsewhere);
});

test('what was being done when a life ended is asked for again under the same token', async () => {
  const stage = instance.stageInstance();
  stage.beat('stopped');
  stage.ask(instance.START, { token: 'A' });
  stage.restart();
  expect(stage.perform.calls.map(({ input }) => input.token)).toEqual(['A', 'A']);
  await stage.accept();
  stage.beat('ssh-up');
  expect(stage.heard).toEqual(['succeeded A 000000']);
});
