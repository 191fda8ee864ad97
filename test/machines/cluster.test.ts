import { asInstant } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { stageCluster } from './cluster-stage.ts';
import { LIMITS } from './stage.ts';

type Stage = ReturnType<typeof stageCluster>;

const BEFORE_RECORD = ['check', 'read-only', 'catch-up'] as const;
const AFTER_RECORD = ['promote', 'route', 're-point'] as const;

/** A cluster that is to have `db2` as its master, and whose step of this name waits for its answer. */
async function at(step: (typeof BEFORE_RECORD | typeof AFTER_RECORD)[number], stage = stageCluster()): Promise<Stage> {
  stage.beat();
  stage.switch('db2');
  while (stage.steps().at(-1) !== step || stage.record.calls.length > 1) {
    await stage.accept();
    if (stage.operation() === 'busy.recording') await stage.record.answer();
  }
  return stage;
}

describe('what is observed', () => {
  test('a cluster is settled, unsettled, or not known where something of it is not seen', () => {
    const stage = stageCluster();
    expect(stage.observed()).toBe('unknown');
    stage.beat();
    expect(stage.observed()).toBe('settled');
    expect(stage.hasTag('settled')).toBe(true);
    stage.beat({ lacking: 'db2 does not replicate' });
    expect(stage.observed()).toBe('unsettled');
    stage.beat({ readAt: null }, { fresh: false });
    expect(stage.observed()).toBe('unknown');
    expect(stage.operation()).toBe('available.idle');
  });
});

describe('a change of master', () => {
  test('goes from step to step as each is answered, records the new master in between, and ends when all is seen in its place', async () => {
    const stage = await at('re-point');
    expect(stage.steps()).toEqual([...BEFORE_RECORD, ...AFTER_RECORD]);
    expect(stage.record.calls.map(({ input }) => input)).toEqual([{ key: 'clusters/shop', master: 'db2', token: 'A' }]);
    await stage.accept();
    expect(stage.operation()).toBe('busy.settling');
    stage.beat({ master: 'db2', lacking: 'db3 does not replicate' });
    stage.beat({ master: 'db2' });
    expect(stage.operation()).toBe('available.idle');
    expect(stage.emitted).toMatchObject([{ type: 'succeeded', token: 'A', code: '000000' }]);
  });

  test('is not ended by a look that began before its last step was accepted, nor by another master', async () => {
    const stage = await at('re-point');
    await stage.accept();
    stage.beat({ master: 'db2', readAt: asInstant(1) });
    stage.beat({ master: 'db1' });
    expect(stage.operation()).toBe('busy.settling');
  });

  test('that is never seen in its place fails, is worth another try, and says what is missing', async () => {
    const stage = await at('re-point');
    await stage.accept();
    stage.beat({ master: 'db2', lacking: 'db3 does not replicate' }, { after: LIMITS.settleMs });
    expect(stage.operation()).toBe('available.failed');
    expect(stage.emitted).toMatchObject([
      { type: 'failed', code: 'ER0212', retryable: true, message: expect.stringContaining('db3 does not replicate') },
    ]);
  });

  test('keeps its deadline while nothing is seen', async () => {
    const stage = await at('re-point');
    await stage.accept();
    stage.beat({ readAt: null }, { after: LIMITS.settleMs, fresh: false });
    expect(stage.operation()).toBe('busy.settling');
  });

  test('takes nothing else while it is under way but somebody who wants the same', async () => {
    const stage = await at('catch-up');
    expect(stage.maySwitch('db3')).toBe(false);
    expect(stage.maySwitch('db2')).toBe(true);
    stage.switch('db2', { token: 'B' });
    await stage.refuse();
    await stage.accept();
    expect(stage.emitted.map(({ type, token }) => `${type} ${token}`)).toEqual(['failed A', 'failed B']);
  });

  test('is under way for everybody from its check on, and lets nothing come between from `read-only` on', async () => {
    const stage = await at('check');
    expect([stage.hasTag('busy'), stage.hasTag('committed')]).toEqual([true, false]);
    for (const step of ['read-only', 'catch-up', 'promote', 'route', 're-point'] as const) {
      expect((await at(step)).hasTag('committed')).toBe(true);
    }
  });
});

describe('a step that fails', () => {
  test('at the check, nothing is undone, and nobody tries again by himself', async () => {
    const stage = await at('check');
    await stage.refuse({ message: 'db2: it follows no master' });
    expect(stage.steps()).toEqual(['check']);
    expect(stage.operation()).toBe('available.failed');
    expect(stage.emitted).toMatchObject([
      { type: 'failed', code: 'ER0254', message: 'db2: it follows no master', retryable: false },
    ]);
  });

  test.each(['read-only', 'catch-up'] as const)(
    'at %s, the old master takes writes again, and the reason stays',
    async (step) => {
      const stage = await at(step);
      await stage.refuse({ message: 'too slow' });
      expect(stage.operation()).toBe('busy.reverting');
      expect(stage.steps().at(-1)).toBe('revert');
      await stage.accept();
      expect(stage.operation()).toBe('available.failed');
      expect(stage.emitted).toMatchObject([{ type: 'failed', message: 'too slow', retryable: false }]);
      expect(stage.record.calls).toEqual([]);
    },
  );

  test('and whose undoing fails too, is worth another try: somebody has to take writes', async () => {
    const stage = await at('catch-up');
    await stage.refuse({ message: 'too slow' });
    await stage.refuse({ message: 'unreachable' });
    expect(stage.emitted).toMatchObject([{ type: 'failed', retryable: true }]);
    expect(stage.emitted[0]?.message).toMatch(/^too slow; .*unreachable$/);
  });

  test('while the new master is recorded, nothing is undone: nobody knows whether it was', async () => {
    const stage = stageCluster();
    stage.switch('db2');
    for (const _ of BEFORE_RECORD) await stage.accept();
    await stage.record.refuse({ code: 'ER0220', retryable: true, message: 'the store did not answer' });
    expect(stage.steps()).toEqual(BEFORE_RECORD);
    expect(stage.emitted).toMatchObject([{ type: 'failed', code: 'ER0220', retryable: true }]);
  });

  test.each(AFTER_RECORD)('at %s, nothing is undone, and another try goes on', async (step) => {
    const stage = await at(step);
    await stage.refuse();
    expect(stage.steps()).not.toContain('revert');
    expect(stage.emitted).toMatchObject([{ type: 'failed', retryable: true }]);
    stage.switch('db2', { begun: { at: asInstant(1), mark: null } });
    expect(stage.operation()).toBe('busy.checking');
  });

  test('at the check of one that was begun in an earlier life, is undone: its old master perhaps takes no writes', async () => {
    const stage = stageCluster();
    stage.switch('db2', { begun: { at: asInstant(1), mark: null } });
    await stage.refuse({ message: 'db2 is gone' });
    expect(stage.steps()).toEqual(['check', 'revert']);
    await stage.accept();
    expect(stage.emitted).toMatchObject([{ type: 'failed', message: 'db2 is gone', retryable: false }]);
  });
});

describe('whoever lets go of it', () => {
  test('ends it where nobody else wants it, and only his own share where somebody does', async () => {
    const stage = await at('check');
    stage.switch('db2', { token: 'B' });
    stage.cancel('A');
    expect(stage.operation()).toBe('busy.checking');
    stage.cancel('B');
    expect(stage.operation()).toBe('available.idle');
    expect(stage.emitted.map(({ type, token }) => `${type} ${token}`)).toEqual(['cancelled A', 'cancelled B']);
  });
});

test('a life that ends at any step goes on there in the next one, to the same end', async () => {
  for (const step of [...BEFORE_RECORD, ...AFTER_RECORD]) {
    const stage = await at(step);
    stage.restart();
    const calls = stage.steps().length;
    expect(stage.steps().at(-1)).toBe(step);
    expect(calls).toBeGreaterThan(1);
    while (stage.operation() !== 'busy.settling') {
      await stage.accept();
      if (stage.operation() === 'busy.recording') await stage.record.answer();
    }
    stage.beat({ master: 'db2' });
    expect(stage.emitted).toMatchObject([{ type: 'succeeded', token: 'A' }]);
  }
});
