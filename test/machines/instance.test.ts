import { asInstant, type InstanceState } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { bootstrap, LAUNCH, REBOOT, START, STOP, stageInstance, TERMINATE } from './instance-stage.ts';
import { LIMITS } from './stage.ts';

/** A stopped instance whose start was accepted just now. */
async function startAccepted() {
  const stage = stageInstance();
  stage.beat('stopped');
  stage.ask(START);
  await stage.accept();
  return stage;
}

/** A running instance whose reboot was accepted just now; its bootId was `boot-1`. */
async function rebootAccepted() {
  const stage = stageInstance();
  stage.beat('managed', { mark: 'boot-1' });
  stage.ask(REBOOT);
  await stage.accept();
  return stage;
}

describe('what is observed', () => {
  test('an instance that nobody has seen is unknown and nothing is done about it', () => {
    const stage = stageInstance();
    expect(stage.observed()).toBe('unknown');
    expect(stage.operation()).toBe('open.available.idle');
  });

  test.each<[InstanceState, string]>([
    ['unknown', 'unknown'],
    ['absent', 'absent'],
    ['pending', 'pending'],
    ['unreachable', 'unreachable'],
    ['stopping', 'stopping'],
    ['stopped', 'stopped'],
    ['shutting-down', 'shutting-down'],
    ['terminated', 'terminated'],
    ['ssh-up', 'running.ssh-up'],
    ['bootstrapped', 'running.bootstrapped'],
    ['managed', 'running.managed'],
  ])('a heartbeat that says %s leads to %s from anywhere', (state, path) => {
    for (const before of ['unknown', 'stopped', 'managed'] as const) {
      const stage = stageInstance();
      stage.beat(before);
      stage.beat(state, { mark: 'boot-7' });
      expect(stage.observed()).toBe(path);
      expect(stage.context().observed).toEqual({ state, bootId: 'boot-7', gone: false, readAt: stage.now() });
    }
  });

  test('a rung carries the words of the rungs below it', () => {
    const stage = stageInstance();
    stage.beat('bootstrapped');
    expect(['running', 'ssh-up', 'bootstrapped', 'managed'].filter(stage.hasTag)).toEqual(['running', 'ssh-up', 'bootstrapped']);
  });

  test('what is observed goes on being recorded while something is done', async () => {
    const stage = await startAccepted();
    stage.beat('pending');
    expect(stage.observed()).toBe('pending');
    expect(stage.operation()).toBe('open.busy.settling');
  });
});

describe('an operation', () => {
  test('a stopped instance that is started is running when a heartbeat says so', async () => {
    const stage = await startAccepted();
    stage.beat('pending');
    expect(stage.heard).toEqual([]);
    stage.beat('ssh-up');
    expect(stage.operation()).toBe('open.available.idle');
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.context().operation).toBeNull();
  });

  test('the call carries the verb, its token and the number of the try', () => {
    const stage = stageInstance();
    stage.ask(bootstrap('managed'), { token: 'T' });
    expect(stage.perform.latest().input).toEqual({
      key: 'instances/cloud/i-1',
      do: bootstrap('managed'),
      token: 'T',
      by: 'T',
      attempt: 1,
    });
  });

  test('a call goes on under the token of who began it, for those who are left', async () => {
    const stage = stageInstance();
    stage.ask(bootstrap('managed'), { token: 'T' });
    stage.ask(bootstrap('managed'), { token: 'U' });
    stage.cancel('T');
    await stage.refuse();
    stage.beat('ssh-up', { after: 1000 });
    expect(stage.perform.latest().input).toMatchObject({ token: 'T', by: 'U', attempt: 2 });
  });

  test('an accepted call is not yet a success', async () => {
    const stage = await startAccepted();
    expect(stage.operation()).toBe('open.busy.settling');
    expect(stage.heard).toEqual([]);
  });

  test('a goal seen in a reading that began before the call was accepted does not count', async () => {
    const stage = await startAccepted();
    const acceptedAt = stage.now();
    stage.beat('ssh-up', { readAt: acceptedAt });
    expect(stage.operation()).toBe('open.busy.settling');
    stage.beat('ssh-up', { readAt: asInstant(acceptedAt + 1) });
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('a goal seen while the call is being made does not count', () => {
    const stage = stageInstance();
    stage.beat('stopped');
    stage.ask(START);
    stage.beat('ssh-up');
    expect(stage.operation()).toBe('open.busy.calling');
    expect(stage.heard).toEqual([]);
  });

  test('of a call that does not say when it was accepted, only readings begun after the next beat count', async () => {
    const stage = stageInstance();
    stage.ask(START);
    stage.beat('pending');
    await stage.perform.answer(undefined);
    stage.beat('ssh-up');
    expect(stage.operation()).toBe('open.busy.settling');
    stage.beat('ssh-up');
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test.each([
    ['a launch', LAUNCH, 'ssh-up'],
    ['a start', START, 'ssh-up'],
    ['a stop', STOP, 'stopped'],
    ['a terminate', TERMINATE, 'terminated'],
    ['a bootstrap up to ssh-up', bootstrap('ssh-up'), 'ssh-up'],
    ['a bootstrap up to bootstrapped', bootstrap('bootstrapped'), 'bootstrapped'],
    ['a bootstrap up to managed', bootstrap('managed'), 'managed'],
  ] as const)('%s is done at $2 and not before', async (_, what, goal) => {
    const ladder: readonly InstanceState[] = ['pending', 'ssh-up', 'bootstrapped', 'managed'];
    const rung = ladder.indexOf(goal);
    const before = rung < 0 ? (['managed', 'stopping', 'shutting-down'] as const) : ladder.slice(0, rung);
    const stage = stageInstance();
    stage.ask(what);
    await stage.accept();
    for (const state of before) stage.beat(state);
    expect(stage.heard).toEqual([]);
    stage.beat(goal);
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('a bootstrap that does not say how far is done when the instance is managed', async () => {
    const stage = stageInstance();
    stage.ask({ level: 'instances', subject: START.subject, verb: 'bootstrap' });
    await stage.accept();
    stage.beat('bootstrapped');
    expect(stage.heard).toEqual([]);
    stage.beat('managed');
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });
});

describe('a reboot', () => {
  test('is done when the boot id has changed and it runs', async () => {
    const stage = await rebootAccepted();
    stage.beat('managed', { mark: 'boot-1' });
    expect(stage.heard).toEqual([]);
    stage.beat('pending', { mark: 'boot-2' });
    expect(stage.heard).toEqual([]);
    stage.beat('ssh-up', { mark: 'boot-2' });
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('is not done by a boot id that nobody could read', async () => {
    const stage = await rebootAccepted();
    stage.beat('managed', { mark: null });
    expect(stage.operation()).toBe('open.busy.settling');
  });

  test('once begun is only judged, never called again', () => {
    const stage = stageInstance();
    stage.beat('managed', { mark: 'boot-2' });
    stage.ask(REBOOT, { begun: { at: asInstant(500), mark: 'boot-1' } });
    expect(stage.operation()).toBe('open.busy.settling');
    stage.beat('managed', { mark: 'boot-2' });
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.perform.calls).toEqual([]);
  });

  test('once begun fails for good where its effect is never seen', () => {
    const stage = stageInstance();
    stage.beat('managed', { mark: 'boot-1' });
    stage.ask(REBOOT, { begun: { at: asInstant(500), mark: 'boot-1' } });
    stage.beat('managed', { mark: 'boot-1', after: 20_000 });
    expect(stage.operation()).toBe('open.available.failed');
    expect(stage.heard).toEqual(['failed A ER0213']);
    expect(stage.emitted[0]?.retryable).toBe(false);
    expect(stage.perform.calls).toEqual([]);
  });

  test('whose call perhaps happened is judged like an accepted one', async () => {
    const stage = stageInstance();
    stage.beat('managed', { mark: 'boot-1' });
    stage.ask(REBOOT);
    await stage.refuse({ code: 'ER0220' });
    expect(stage.operation()).toBe('open.busy.settling');
    stage.beat('managed', { mark: 'boot-1' });
    stage.beat('managed', { mark: 'boot-2' });
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.perform.calls).toHaveLength(1);
  });

  test('whose call was refused is called again', async () => {
    const stage = stageInstance();
    stage.beat('managed', { mark: 'boot-1' });
    stage.ask(REBOOT);
    await stage.refuse();
    stage.beat('managed', { mark: 'boot-1', after: 2000 });
    expect(stage.perform.calls).toHaveLength(2);
  });

  test('that was accepted and is overdue is not called again', async () => {
    const stage = await rebootAccepted();
    stage.beat('managed', { mark: 'boot-1', after: 20_000 });
    expect(stage.heard).toEqual(['failed A ER0213']);
    expect(stage.perform.calls).toHaveLength(1);
  });
});

describe('who asks while it is busy', () => {
  test('the same goal joins and each token hears the end once', async () => {
    const stage = stageInstance();
    stage.ask(LAUNCH, { token: 'A' });
    stage.ask(START, { token: 'B' });
    stage.ask(START, { token: 'B' });
    await stage.accept();
    stage.ask(START, { token: 'C' });
    stage.beat('ssh-up');
    stage.beat('ssh-up');
    expect(stage.heard).toEqual(['succeeded A 000000', 'succeeded B 000000', 'succeeded C 000000']);
    expect(stage.perform.calls).toHaveLength(1);
  });

  test('a verb with another goal is not legal, except those that pre-empt', () => {
    const stage = stageInstance();
    stage.ask(START);
    expect([LAUNCH, START, STOP, TERMINATE].map((what) => stage.mayAsk(what, { token: 'B' }))).toEqual([true, true, true, true]);
    expect([REBOOT, bootstrap('managed')].map((what) => stage.mayAsk(what, { token: 'B' }))).toEqual([false, false]);
  });

  test('two bootstraps that go to different rungs do not join', () => {
    const stage = stageInstance();
    stage.ask(bootstrap('bootstrapped'));
    expect(stage.mayAsk(bootstrap('bootstrapped'))).toBe(true);
    expect(stage.mayAsk(bootstrap('managed'))).toBe(false);
  });

  test('every verb is legal while it is available', () => {
    const stage = stageInstance();
    const verbs = [LAUNCH, START, STOP, REBOOT, TERMINATE, bootstrap('managed')];
    expect(verbs.filter((what) => !stage.mayAsk(what))).toEqual([]);
  });

  test('stop pre-empts a running start and its tokens hear cancelled', async () => {
    const stage = stageInstance();
    stage.beat('pending');
    stage.ask(START, { token: 'A' });
    stage.ask(START, { token: 'B' });
    const start = stage.perform.latest();
    stage.ask(STOP, { token: 'S' });
    expect(stage.heard).toEqual(['cancelled A ER0217', 'cancelled B ER0217']);
    expect(start.signal.aborted).toBe(true);
    expect(stage.perform.latest().input).toMatchObject({ do: STOP, token: 'S', attempt: 1 });
    await stage.accept();
    stage.beat('stopped');
    expect(stage.heard.slice(2)).toEqual(['succeeded S 000000']);
  });

  test('what a pre-empted call answers later is heard by nobody', async () => {
    const stage = stageInstance();
    stage.ask(START, { token: 'A' });
    const start = stage.perform.latest();
    stage.ask(STOP, { token: 'S' });
    start.resolve({ acceptedAt: stage.now() });
    stage.beat('stopped');
    expect(stage.operation()).toBe('open.busy.calling');
  });

  test('terminate pre-empts stop, but stop does not pre-empt terminate', () => {
    const stage = stageInstance();
    stage.ask(STOP, { token: 'S' });
    stage.ask(TERMINATE, { token: 'T' });
    expect(stage.heard).toEqual(['cancelled S ER0217']);
    expect(stage.mayAsk(STOP)).toBe(false);
    stage.ask(TERMINATE, { token: 'U' });
    expect(stage.context().operation?.tokens).toEqual(['T', 'U']);
  });

  test('cancel of one of two tokens leaves the operation to the other', async () => {
    const stage = stageInstance();
    stage.ask(START, { token: 'A' });
    stage.ask(START, { token: 'B' });
    stage.cancel('A');
    expect(stage.heard).toEqual(['cancelled A ER0217']);
    expect(stage.perform.latest().signal.aborted).toBe(false);
    await stage.accept();
    stage.beat('ssh-up');
    expect(stage.heard).toEqual(['cancelled A ER0217', 'succeeded B 000000']);
  });

  test('cancel of the last token ends the operation', () => {
    const stage = stageInstance();
    stage.ask(START, { token: 'A' });
    stage.cancel('A');
    expect(stage.heard).toEqual(['cancelled A ER0217']);
    expect(stage.operation()).toBe('open.available.idle');
    expect(stage.context().operation).toBeNull();
    expect(stage.perform.latest().signal.aborted).toBe(true);
  });

  test("a stranger's cancel is heard by nobody", () => {
    const stage = stageInstance();
    stage.ask(START, { token: 'A' });
    stage.cancel('X');
    expect(stage.heard).toEqual([]);
    expect(stage.context().operation?.tokens).toEqual(['A']);
  });
});

describe('what fails', () => {
  test('a failed call backs off and is tried again when due', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.refuse();
    expect(stage.operation()).toBe('open.busy.backing-off');
    stage.beat('stopped', { after: 100 });
    expect(stage.perform.calls).toHaveLength(1);
    stage.beat('stopped', { after: 1000 });
    expect(stage.operation()).toBe('open.busy.calling');
    expect(stage.perform.latest().input).toMatchObject({ token: 'A', attempt: 2 });
  });

  test('attempts exhausted: failed, with attention; a later observation of the goal clears it', async () => {
    const stage = stageInstance();
    stage.beat('stopped');
    stage.ask(START);
    for (let attempt = 1; attempt < LIMITS.callAttempts; attempt++) {
      await stage.refuse();
      stage.beat('stopped', { after: 5000 });
    }
    expect(stage.heard).toEqual([]);
    await stage.refuse();
    expect(stage.perform.calls).toHaveLength(LIMITS.callAttempts);
    expect(stage.operation()).toBe('open.available.failed');
    expect(stage.hasTag('attention')).toBe(true);
    expect(stage.heard).toEqual(['failed A ER0221']);
    stage.beat('stopped');
    expect(stage.hasTag('attention')).toBe(true);
    stage.beat('ssh-up');
    expect(stage.operation()).toBe('open.available.idle');
    expect(stage.heard).toEqual(['failed A ER0221']);
  });

  test('a failed operation is not cleared by a reading from before its end', async () => {
    const stage = stageInstance();
    stage.beat('stopped');
    stage.ask(START);
    const failedAt = stage.now();
    await stage.refuse({ retryable: false });
    stage.beat('ssh-up', { readAt: failedAt });
    expect(stage.operation()).toBe('open.available.failed');
  });

  test('what another try cannot mend fails at once', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.refuse({ code: 'ER0205', retryable: false });
    expect(stage.operation()).toBe('open.available.failed');
    expect(stage.emitted[0]).toMatchObject({ code: 'ER0205', message: 'no', retryable: false });
  });

  test('an error of no kind that we know is worth another try', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.perform.refuse(new TypeError('socket hang up'));
    expect(stage.operation()).toBe('open.busy.backing-off');
    expect(stage.context().operation?.failure).toEqual({ code: 'ER0220', message: 'socket hang up', retryable: true });
  });

  test('a call that is never answered is given up and made again', () => {
    const stage = stageInstance();
    stage.ask(START);
    stage.beat('stopped', { after: 9999 });
    expect(stage.operation()).toBe('open.busy.calling');
    stage.beat('stopped', { after: 1 });
    expect(stage.operation()).toBe('open.busy.backing-off');
    expect(stage.perform.latest().signal.aborted).toBe(true);
    stage.beat('stopped', { after: 1000 });
    expect(stage.perform.calls).toHaveLength(2);
  });

  test('every try has the whole time of a call', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.refuse();
    stage.beat('stopped', { after: 9000 });
    stage.beat('stopped', { after: 9999 });
    expect(stage.operation()).toBe('open.busy.calling');
  });

  test('who has heard of the failure hears no more of it', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.refuse({ retryable: false });
    stage.beat('absent', { gone: true });
    expect(stage.heard).toEqual(['failed A ER0221']);
    expect(stage.operation()).toBe('closed');
  });

  test('a call whose effect is never seen is made again', async () => {
    const stage = await startAccepted();
    stage.beat('stopped', { after: 19_999 });
    expect(stage.operation()).toBe('open.busy.settling');
    stage.beat('stopped', { after: 1 });
    expect(stage.operation()).toBe('open.busy.backing-off');
    expect(stage.context().operation?.failure?.code).toBe('ER0212');
  });

  test('a goal seen in the beat that is too late still counts', async () => {
    const stage = await startAccepted();
    stage.beat('ssh-up', { after: 60_000 });
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('the readings of an earlier try do not count for the next one', async () => {
    const stage = await startAccepted();
    stage.beat('stopped', { after: 20_000 });
    const whileBackingOff = stage.now();
    stage.beat('stopped', { after: 1000 });
    await stage.accept();
    stage.beat('ssh-up', { readAt: asInstant(whileBackingOff + 1) });
    expect(stage.operation()).toBe('open.busy.settling');
  });

  test('a new verb after a failure starts afresh', async () => {
    const stage = stageInstance();
    stage.ask(START);
    await stage.refuse({ retryable: false });
    stage.ask(STOP, { token: 'B' });
    expect(stage.hasTag('attention')).toBe(false);
    expect(stage.context().operation).toMatchObject({ do: STOP, tokens: ['B'], failures: 0, failure: null });
  });
});

describe('while its source is blind', () => {
  test('no deadline passes', async () => {
    const calling = stageInstance();
    calling.ask(START);
    calling.beat('stopped', { after: 100_000, fresh: false });
    expect(calling.operation()).toBe('open.busy.calling');

    const settling = await startAccepted();
    settling.beat('stopped', { after: 100_000, fresh: false });
    expect(settling.operation()).toBe('open.busy.settling');

    const backingOff = stageInstance();
    backingOff.ask(START);
    await backingOff.refuse();
    backingOff.beat('stopped', { after: 100_000, fresh: false });
    expect(backingOff.operation()).toBe('open.busy.backing-off');
  });

  test('the first fresh beat judges the goal before the deadline', async () => {
    const stage = await startAccepted();
    stage.beat('stopped', { after: 100_000, fresh: false });
    stage.beat('ssh-up');
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });
});

describe('an instance that is gone', () => {
  test('closes the operation region and its tokens fail retryably', async () => {
    const stage = stageInstance();
    stage.ask(START, { token: 'A' });
    stage.ask(START, { token: 'B' });
    await stage.accept();
    stage.beat('absent', { gone: true });
    expect(stage.operation()).toBe('closed');
    expect(stage.heard).toEqual(['failed A ER0215', 'failed B ER0215']);
    expect(stage.emitted.map(({ retryable }) => retryable)).toEqual([true, true]);
    expect(stage.context().operation).toBeNull();
  });

  test('takes no verb any more', () => {
    const stage = stageInstance();
    stage.beat('terminated', { gone: true });
    const verbs = [LAUNCH, START, STOP, REBOOT, TERMINATE, bootstrap('managed')];
    expect(verbs.filter((what) => stage.mayAsk(what))).toEqual([]);
  });

  test('is what terminate wanted, even where the call was never answered', () => {
    const stage = stageInstance();
    stage.ask(TERMINATE);
    stage.beat('absent', { gone: true });
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('is told once where the goal and the end come in one beat', async () => {
    const stage = stageInstance();
    stage.ask(TERMINATE);
    await stage.accept();
    stage.beat('terminated', { gone: true });
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.operation()).toBe('closed');
  });

  test('terminated but still listed is not gone', () => {
    const stage = stageInstance();
    stage.beat('terminated');
    expect(stage.operation()).toBe('open.available.idle');
  });
});
