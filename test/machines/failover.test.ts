import { asInstant } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { stageCluster } from './cluster-stage.ts';
import { LIMITS } from './stage.ts';

type Stage = ReturnType<typeof stageCluster>;

const STATES = [
  'confirming',
  'fencing',
  'awaiting-fence',
  'gathering',
  'recording',
  'promoting',
  'routing',
  're-pointing',
  'settling',
] as const;

/** A cluster of which `db2` is to take the place of a lost master, in this state. */
async function at(state: (typeof STATES)[number], stage = stageCluster()): Promise<Stage> {
  if (stage.operation() === 'available.idle') stage.failOver('db2');
  for (const now of STATES) {
    expect(stage.operation()).toBe(`busy.${now}`);
    if (now === state) break;
    if (now === 'fencing') await stage.fence.answer({ isFenced: false });
    else if (now === 'awaiting-fence') stage.beat({ isFenced: true });
    else if (now === 'recording') await stage.record.answer();
    else await stage.accept();
  }
  return stage;
}

describe('a failover', () => {
  test('confirms, fences, gathers and records before anybody is promoted, and ends when all is seen in its place', async () => {
    const stage = await at('settling');
    expect(stage.steps()).toEqual(['confirm', 'gather', 'promote', 'route', 're-point']);
    expect(stage.record.calls.map(({ input }) => input)).toEqual([{ key: 'clusters/shop', master: 'db2', token: 'A' }]);
    stage.beat({ master: 'db2' });
    expect(stage.operation()).toBe('available.idle');
    expect(stage.emitted).toMatchObject([{ type: 'succeeded', token: 'A' }]);
  });

  test('goes on only once it is seen that the old master takes no writes', async () => {
    const stage = await at('awaiting-fence');
    stage.beat();
    stage.beat({ readAt: null }, { fresh: false });
    expect(stage.operation()).toBe('busy.awaiting-fence');
    stage.beat({ isFenced: true, readAt: null }, { fresh: false });
    expect(stage.operation()).toBe('busy.gathering');
  });

  test('waits for nothing where there was nothing to fence', async () => {
    const stage = await at('fencing');
    await stage.fence.answer({ isFenced: true });
    expect(stage.operation()).toBe('busy.gathering');
  });

  test('ends where that is not seen in time: nobody was promoted, and another try may find it off', async () => {
    const stage = await at('awaiting-fence');
    stage.beat({}, { after: LIMITS.settleMs });
    expect(stage.operation()).toBe('available.failed');
    expect(stage.steps()).toEqual(['confirm']);
    expect(stage.emitted).toMatchObject([{ type: 'failed', code: 'ER0258', retryable: true }]);
  });

  test('whose old master cannot be fenced ends with the reason', async () => {
    const stage = await at('fencing');
    await stage.fence.refuse({ code: 'ER0258', retryable: false, message: 'no driver stops it' });
    expect(stage.operation()).toBe('available.failed');
    expect(stage.emitted).toMatchObject([{ type: 'failed', message: 'no driver stops it', retryable: false }]);
  });

  test.each(['confirming', 'gathering', 'promoting', 'routing', 're-pointing'] as const)(
    'that fails while %s gives the writes back to nobody, and another try begins anew',
    async (state) => {
      const stage = await at(state);
      await stage.refuse({ message: 'it answers', retryable: true });
      expect(stage.operation()).toBe('available.failed');
      expect(stage.steps()).not.toContain('revert');
      expect(stage.emitted).toMatchObject([{ type: 'failed', message: 'it answers', retryable: true }]);
      stage.failOver('db2', { begun: { at: asInstant(1), mark: null } });
      expect(stage.operation()).toBe('busy.confirming');
    },
  );

  test('lets nothing come between once the old master is being fenced', async () => {
    for (const state of STATES) {
      const isCommitted = state !== 'confirming' && state !== 'settling';
      expect([state, (await at(state)).hasTag('committed')]).toEqual([state, isCommitted]);
    }
  });

  test('and a switch do not join each other', async () => {
    const stage = await at('gathering');
    expect(stage.maySwitch('db2')).toBe(false);
    stage.failOver('db2', { token: 'B' });
    await stage.refuse();
    expect(stage.emitted.map(({ token }) => token)).toEqual(['A', 'B']);
  });

  test('that a life ends in goes on there in the next one, to the same end', async () => {
    for (const state of STATES) {
      const stage = await at(state);
      stage.restart();
      for (const now of STATES.slice(STATES.indexOf(state))) {
        if (now === 'fencing') await stage.fence.answer({ isFenced: false });
        else if (now === 'awaiting-fence') stage.beat({ isFenced: true });
        else if (now === 'recording') await stage.record.answer();
        else if (now === 'settling') stage.beat({ master: 'db2' });
        else await stage.accept();
      }
      expect(stage.emitted).toMatchObject([{ type: 'succeeded', token: 'A' }]);
    }
  });
});
