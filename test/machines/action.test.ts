import { asInstant } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { LIMITS, stageAction } from './action-stage.ts';

type Stage = ReturnType<typeof stageAction>;

const EXPIRES = { expiresAt: asInstant(10_000) };

describe('an action that waits', () => {
  test('fires when its trigger holds', async () => {
    const stage = stageAction();
    stage.beat();
    expect(stage.value()).toBe('waiting');
    stage.beat({ holds: true });
    expect(stage.value()).toBe('claiming');
    expect(stage.claim.latest().input).toEqual({ id: 'a1', token: 'a1.1', now: stage.now() });
  });

  test('does nothing while nothing fresh is known, however late it is', () => {
    for (const onExpire of ['drop', 'run', 'fail'] as const) {
      const stage = stageAction({ ...EXPIRES, onExpire });
      stage.beat({ holds: true, fresh: false });
      stage.beat({ after: 100_000, fresh: false });
      expect(stage.value()).toBe('waiting');
    }
  });

  test('fires rather than expires where one beat allows both', () => {
    for (const onExpire of ['drop', 'run', 'fail'] as const) {
      const stage = stageAction({ ...EXPIRES, onExpire });
      stage.beat({ after: 10_000, holds: true });
      expect(stage.value()).toBe('claiming');
    }
  });

  test('does not expire before its time', () => {
    for (const onExpire of ['drop', 'run', 'fail'] as const) {
      const stage = stageAction({ ...EXPIRES, onExpire });
      stage.beat({ after: 9999 });
      expect(stage.value()).toBe('waiting');
    }
  });

  test('that is to be dropped expires', () => {
    const stage = stageAction({ ...EXPIRES, onExpire: 'drop' });
    stage.beat({ after: 10_000 });
    expect(stage.value()).toBe('expired');
    expect(stage.hasTag('ended')).toBe(true);
    expect(stage.action().history).toEqual([{ at: 10_000, fence: 0, outcome: 'expired', code: 'ER0219' }]);
  });

  test('that is to run after all is claimed', () => {
    const stage = stageAction({ ...EXPIRES, onExpire: 'run' });
    stage.beat({ after: 10_000 });
    expect(stage.value()).toBe('claiming');
  });

  test('that ran because its time was over, and was deferred, waits without a limit for what it was deferred to', async () => {
    const stage = stageAction({ ...EXPIRES, onExpire: 'run' });
    stage.beat({ after: 10_000 });
    await stage.win();
    await stage.dispatch.answer({ outcome: 'deferred', action: stage.action() });
    stage.beat({ after: 100_000 });
    expect(stage.value()).toBe('waiting');
    stage.beat({ holds: true });
    expect(stage.value()).toBe('claiming');
  });

  test('that is to fail holds its lane with attention', () => {
    const stage = stageAction({ ...EXPIRES, onExpire: 'fail' });
    stage.beat({ after: 10_000 });
    expect(stage.value()).toBe('failed');
    expect(stage.hasTag('attention')).toBe(true);
    expect(stage.hasTag('ended')).toBe(false);
    expect(stage.action().history).toMatchObject([{ at: 10_000, outcome: 'expired' }]);
  });

  test('without an end of its own waits on', () => {
    const stage = stageAction();
    stage.beat({ after: 1e12 });
    expect(stage.value()).toBe('waiting');
  });
});

describe('a claim', () => {
  test('that is won leads to the dispatch, under its fence', async () => {
    const stage = stageAction();
    await stage.fire();
    expect(stage.value()).toBe('dispatching');
    expect(stage.dispatch.latest().input.action.token).toBe('a1.1');
    await stage.refuse();
    expect(stage.action().history[0]?.fence).toBe(7);
  });

  test('of another try that is lost goes on without its trigger, which its own doing may have ended', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.refuse();
    stage.beat({ after: 10_000 });
    await stage.claim.answer({ outcome: 'lost' });
    expect(stage.value()).toBe('backing-off');
    stage.beat({ after: LIMITS.claimMs });
    expect(stage.value()).toBe('claiming');
  });

  test('that is lost is not tried again before the other one ends', async () => {
    const stage = stageAction();
    stage.beat({ holds: true });
    await stage.claim.answer({ outcome: 'lost' });
    expect(stage.value()).toBe('waiting');
    stage.beat({ after: LIMITS.claimMs - 1, holds: true });
    expect(stage.value()).toBe('waiting');
    stage.beat({ after: 1, holds: true });
    expect(stage.value()).toBe('claiming');
    expect(stage.action().attempts).toBe(0);
  });

  test.each(['drop', 'run', 'fail'] as const)(
    'that is lost keeps the action from its expiry (%s) while another acts',
    async (onExpire) => {
      const stage = stageAction({ ...EXPIRES, onExpire });
      stage.beat({ holds: true });
      await stage.claim.answer({ outcome: 'lost' });
      stage.beat({ after: LIMITS.claimMs - 1 });
      expect(stage.value()).toBe('waiting');
      stage.beat({ after: 1 });
      expect(stage.value()).toBe({ drop: 'expired', run: 'claiming', fail: 'failed' }[onExpire]);
    },
  );

  test.each(['done', 'expired', 'cancelled'] as const)(
    'on an action that ended elsewhere ends it as its record says: %s',
    async (outcome) => {
      const stage = stageAction();
      stage.beat({ holds: true });
      await stage.claim.answer({ outcome });
      expect(stage.value()).toBe(outcome);
      expect(stage.action().history).toEqual([]);
      expect(stage.dispatch.calls).toEqual([]);
    },
  );

  test('on an action whose record is gone fails: nobody can say what became of it', async () => {
    const stage = stageAction();
    stage.beat({ holds: true });
    await stage.claim.answer({ outcome: 'unknown' });
    expect(stage.value()).toBe('failed');
    expect(stage.action().history).toMatchObject([{ outcome: 'failed', code: 'ER0220' }]);
  });

  test('that fails is tried again after a backoff', async () => {
    const stage = stageAction();
    stage.beat({ holds: true });
    await stage.claim.refuse(new Error('store down'));
    expect(stage.value()).toBe('backing-off');
    stage.beat({ after: 5000 });
    expect(stage.value()).toBe('claiming');
    expect(stage.action().attempts).toBe(1);
  });

  test('that is not answered in time is given up, fresh or not', () => {
    const stage = stageAction();
    stage.beat({ holds: true });
    stage.beat({ after: LIMITS.claimMs - 1, fresh: false });
    expect(stage.value()).toBe('claiming');
    stage.beat({ after: 1, fresh: false });
    expect(stage.value()).toBe('backing-off');
    expect(stage.claim.latest().signal.aborted).toBe(true);
    expect(stage.action()).toMatchObject({ attempts: 1, history: [{ at: stage.now(), outcome: 'failed', code: 'ER0212' }] });
  });
});

describe('a dispatch', () => {
  test('that is done ends the action', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.dispatch.answer({ outcome: 'done', code: '000000' });
    expect(stage.value()).toBe('done');
    expect(stage.status()).toBe('done');
    expect(stage.action().history).toEqual([{ at: 1000, fence: 7, outcome: 'done' }]);
  });

  test('that is deferred waits again as it was told, and counts no attempt', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.refuse();
    stage.beat({ after: 5000 });
    await stage.win();
    const when = { on: 'now' } as const;
    await stage.dispatch.answer({ outcome: 'deferred', action: { ...stage.action(), when, status: 'dispatching' } });
    expect(stage.value()).toBe('waiting');
    expect(stage.action()).toMatchObject({ when, status: 'waiting', attempts: 1 });
    stage.beat({ holds: true });
    expect(stage.value()).toBe('claiming');
  });

  test('whose operation was cancelled ends the action and is never tried again', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.dispatch.answer({ outcome: 'cancelled', code: 'ER0217' });
    expect(stage.value()).toBe('cancelled');
    expect(stage.outcomes()).toEqual(['cancelled']);
  });

  test('takes as long as its operation does', async () => {
    const stage = stageAction(EXPIRES);
    await stage.fire();
    stage.beat({ after: 1e9 });
    expect(stage.value()).toBe('dispatching');
  });
});

describe('a try that failed', () => {
  test('is followed by another when that is due, whether its trigger holds or not', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.refuse();
    expect(stage.value()).toBe('backing-off');
    const wait = stage.context().notBefore - stage.now();
    stage.beat({ after: wait - 1 });
    stage.beat({ after: 1, fresh: false, holds: true });
    expect(stage.value()).toBe('backing-off');
    stage.beat({ after: 0 });
    expect(stage.value()).toBe('claiming');
    expect(stage.action().history).toEqual([{ at: 1000, fence: 7, outcome: 'failed', code: 'ER0221', message: 'no' }]);
  });

  test('as the last of its attempts fails the action', async () => {
    const stage = stageAction();
    await stage.fire();
    for (let attempt = 1; attempt < LIMITS.attempts; attempt++) {
      await stage.refuse();
      stage.beat({ after: 5000 });
      await stage.win();
    }
    expect(stage.value()).toBe('dispatching');
    await stage.refuse();
    expect(stage.value()).toBe('failed');
    expect(stage.action()).toMatchObject({ attempts: 3 });
    expect(stage.outcomes()).toEqual(['failed', 'failed', 'failed']);
  });

  test('that another cannot mend fails the action at once', async () => {
    const stage = stageAction();
    await stage.fire();
    await stage.refuse({ code: 'ER0205', retryable: false });
    expect(stage.value()).toBe('failed');
    expect(stage.action().attempts).toBe(1);
  });

  test.each([
    ['drop', 'expired'],
    ['run', 'backing-off'],
    ['fail', 'failed'],
  ] as const)('is followed by the expiry where that comes first (%s: %s)', async (onExpire, end) => {
    const stage = stageAction({ expiresAt: asInstant(1100), onExpire });
    await stage.fire();
    await stage.refuse();
    stage.beat({ after: 100 });
    expect(stage.value()).toBe(end);
    if (onExpire !== 'run') expect(stage.action().history.at(-1)).toMatchObject({ at: stage.now(), outcome: 'expired' });
  });
});

describe('a failed action', () => {
  async function failed() {
    const stage = stageAction();
    await stage.fire();
    await stage.refuse({ retryable: false });
    return stage;
  }

  test('does nothing by itself', async () => {
    const stage = await failed();
    stage.beat({ after: 1e9, holds: true });
    expect(stage.value()).toBe('failed');
  });

  test('that is tried again has all its attempts again', async () => {
    const stage = await failed();
    stage.decide('retry');
    expect(stage.value()).toBe('claiming');
    expect(stage.action().attempts).toBe(0);
    await stage.win();
    await stage.refuse();
    expect(stage.value()).toBe('backing-off');
  });

  test('whose retry is not claimed in time is given up after the whole time of a claim', async () => {
    const stage = await failed();
    stage.beat({ after: 1e6 });
    stage.decide('retry');
    stage.beat({ after: 1000 });
    expect(stage.value()).toBe('claiming');
  });

  test('that is discarded ends as cancelled', async () => {
    const stage = await failed();
    stage.decide('discard');
    expect(stage.value()).toBe('cancelled');
    expect(stage.outcomes()).toEqual(['failed', 'cancelled']);
    expect(stage.action().history.at(-1)?.at).toBe(stage.now());
  });
});

describe('a decision', () => {
  const reach = {
    waiting: async () => {},
    claiming: async (stage: Stage) => stage.beat({ holds: true }),
    dispatching: (stage: Stage) => stage.fire(),
    'backing-off': async (stage: Stage) => {
      await stage.fire();
      await stage.refuse();
    },
  };
  const statuses = ['waiting', 'claiming', 'dispatching', 'backing-off'] as const;

  test.each(statuses)('to cancel ends an action that is %s', async (status) => {
    const stage = stageAction();
    await reach[status](stage);
    expect(stage.value()).toBe(status);
    stage.decide('cancel');
    expect(stage.value()).toBe('cancelled');
    expect(stage.action().history.at(-1)).toMatchObject({ at: stage.now(), outcome: 'cancelled' });
  });

  test('to cancel aborts the dispatch', async () => {
    const stage = stageAction();
    await stage.fire();
    stage.decide('cancel');
    expect(stage.dispatch.latest().signal.aborted).toBe(true);
  });

  test.each(statuses)('to retry or discard means nothing to an action that is %s', async (status) => {
    const stage = stageAction();
    await reach[status](stage);
    expect([stage.mayDecide('retry'), stage.mayDecide('discard'), stage.mayDecide('cancel')]).toEqual([false, false, true]);
  });
});
