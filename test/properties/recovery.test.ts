import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { asEntityKey, asInstant, type EntityKey } from '../../src/domain/identity.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import {
  type Decision,
  decideRecovery,
  type Look,
  type RecoveryPolicy,
  radiusOf,
  type Standing,
} from '../../src/domain/recovery.ts';
import { RUNS } from './runs.ts';

const BEAT_MS = 2000;

/** What a beat finds of one service: how it looks, whether its recovery is over, and with whom it shares its loss. */
const seen = fc.record({
  is: fc.constantFrom<Look['is']>('well', 'lost', 'lost', 'lost', 'dependent', 'unseen', 'commanded', 'held', 'not wanted'),
  why: fc.constantFrom('stopped', 'failing'),
  isOver: fc.boolean(),
  cannot: fc.constantFrom(null, null, { code: 'ER0207', message: 'its lane is held' }),
  isOnHost: fc.boolean(),
});
type Seen = typeof seen extends fc.Arbitrary<infer T> ? T : never;

const policies: fc.Arbitrary<RecoveryPolicy> = fc.record({
  dwellMs: fc.constantFrom(0, BEAT_MS, 4 * BEAT_MS),
  dwellReadings: fc.integer({ min: 1, max: 3 }),
  holdDownMs: fc.constantFrom(BEAT_MS, 5 * BEAT_MS),
  holdDownMaxMs: fc.constant(20 * BEAT_MS),
  recoveries: fc.integer({ min: 1, max: 4 }),
  wellMs: fc.constantFrom(3 * BEAT_MS, 100 * BEAT_MS),
  radiusLeast: fc.integer({ min: 1, max: 3 }),
  radiusPercent: fc.constantFrom(0, 30, 100),
  recoveriesAtOnce: fc.integer({ min: 1, max: 4 }),
  recoveryMs: fc.constant(10 * BEAT_MS),
});

const KEYS = Array.from({ length: 8 }, (_, i) => asEntityKey(`services/s${i}`));
const clusterOf = (i: number): string | null => [null, 'a', 'b'][i % 3] ?? null;

interface Moment {
  readonly looks: readonly Look[];
  readonly before: ReadonlyMap<EntityKey, Standing>;
  readonly decision: Decision;
  readonly now: number;
}

/** Plays beats, and looks at each. */
function play(beats: readonly (readonly Seen[])[], policy: RecoveryPolicy, check: (moment: Moment) => void): void {
  let standings: ReadonlyMap<EntityKey, Standing> = new Map();
  let now = asInstant(1_000_000);
  for (const beat of beats) {
    now = asInstant(now + BEAT_MS);
    const looks = beat.map(({ is, why, isOver, cannot, isOnHost }, i): Look => {
      const key = KEYS[i] ?? asEntityKey('services/none');
      const isActing = standings.get(key)?.state === 'acting' && !isOver;
      const unit = isOnHost ? `host ${i % 2}` : key;
      return { key, cluster: clusterOf(i), is, why, unit, readAt: now, cannot, isActing, failsOverTo: null, isOvertaken: false };
    });
    const decision = decideRecovery(looks, standings, { now, policy });
    check({ looks, before: standings, decision, now });
    standings = decision.standings;
  }
}

const histories = fc.array(fc.array(seen, { minLength: KEYS.length, maxLength: KEYS.length }), { minLength: 1, maxLength: 60 });

test('no more of a cluster is acted on at once than is allowed, nor anything where more is lost', () => {
  fc.assert(
    fc.property(histories, policies, (beats, policy) => {
      play(beats, policy, ({ looks, decision }) => {
        for (const cluster of [null, 'a', 'b']) {
          const members = looks.filter((look) => look.cluster === cluster);
          const wanted = members.filter(({ is }) => is !== 'not wanted' && is !== 'held');
          const begun = members.filter(({ key }) => decision.act.includes(key));
          const acting = wanted.filter(({ key }) => decision.standings.get(key)?.state === 'acting');
          const radius = radiusOf(wanted.length, policy);
          if (begun.length > 0) {
            expect(acting.length).toBeLessThanOrEqual(policy.recoveriesAtOnce);
            expect(acting.length).toBeLessThanOrEqual(radius);
          }
          const lost = new Set(wanted.filter(({ is }) => is === 'lost').map(({ unit }) => unit));
          if (lost.size > radius) expect(begun).toEqual([]);
        }
      });
    }),
    RUNS,
  );
});

test('what is begun is lost, wanted, in nobody else’s hands, and has been so long enough', () => {
  fc.assert(
    fc.property(histories, policies, (beats, policy) => {
      const lostFor = new Map<EntityKey, number>();
      play(beats, policy, ({ looks, before, decision, now }) => {
        for (const look of looks) {
          const wasActing = before.get(look.key)?.state === 'acting';
          const beatsLost = look.is === 'lost' && !look.isActing ? (wasActing ? 0 : (lostFor.get(look.key) ?? 0)) + 1 : 0;
          lostFor.set(look.key, beatsLost);
          if (!decision.act.includes(look.key)) continue;
          expect(look).toMatchObject({ is: 'lost', cannot: null, isActing: false, failsOverTo: null });
          expect(beatsLost).toBeGreaterThanOrEqual(policy.dwellReadings);
          expect((beatsLost - 1) * BEAT_MS).toBeGreaterThanOrEqual(policy.dwellMs);
          const fall = before.get(look.key)?.falls.find(({ cause }) => cause === look.why);
          expect(fall?.count ?? 0).toBeLessThan(policy.recoveries);
          expect(fall?.heldUntil ?? 0).toBeLessThanOrEqual(now);
        }
      });
    }),
    RUNS,
  );
});

test('a hold-down does not shrink while its cause comes again, and is forgotten only after a while of being well, or off', () => {
  fc.assert(
    fc.property(histories, policies, (beats, policy) => {
      const wellFor = new Map<EntityKey, number>();
      play(beats, policy, ({ looks, before, decision }) => {
        for (const { key, is, isActing } of looks) {
          wellFor.set(key, is === 'well' && !isActing ? (wellFor.get(key) ?? 0) + 1 : 0);
          const mayForget = is === 'not wanted' || ((wellFor.get(key) ?? 1) - 1) * BEAT_MS >= policy.wellMs;
          for (const fall of before.get(key)?.falls ?? []) {
            const after = decision.standings.get(key)?.falls.find(({ cause }) => cause === fall.cause);
            if (mayForget && after === undefined) continue;
            expect(after?.count).toBeGreaterThanOrEqual(fall.count);
            expect(after?.heldUntil).toBeGreaterThanOrEqual(fall.heldUntil);
          }
        }
      });
    }),
    RUNS,
  );
});

test('what stays lost and can be acted on is acted on, ever more seldom, until it asks to be acknowledged', () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 5 }), (policy, takes) => {
      const begunAt: number[] = [];
      let standings: ReadonlyMap<EntityKey, Standing> = new Map();
      let now = asInstant(1_000_000);
      const [key] = KEYS;
      if (key === undefined) throw new TypeError();
      for (let beat = 0; beat < 400 && standings.get(key)?.state !== 'gave-up'; beat++) {
        now = asInstant(now + BEAT_MS);
        const isActing = standings.get(key)?.state === 'acting' && now - (begunAt.at(-1) ?? 0) < takes * BEAT_MS;
        const lost = {
          key,
          cluster: 'a',
          is: 'lost',
          why: 'stopped',
          unit: key,
          cannot: null,
          failsOverTo: null,
          isOvertaken: false,
        } as const;
        const look: Look = { ...lost, readAt: now, isActing };
        const decision = decideRecovery([look], standings, { now, policy });
        if (decision.act.includes(key)) begunAt.push(now);
        standings = decision.standings;
      }
      expect(standings.get(key)?.state).toBe('gave-up');
      expect(begunAt).toHaveLength(policy.recoveries);
      const waits = begunAt.slice(1).map((at, i) => at - (begunAt[i] ?? 0));
      expect(waits).toEqual([...waits].sort((a, b) => a - b));
    }),
    RUNS,
  );
});

test('every number of it has a default', () => {
  const one: Look = {
    key: asEntityKey('services/s0'),
    cluster: null,
    is: 'lost',
    why: 'stopped',
    unit: 's0',
    readAt: asInstant(1),
    cannot: null,
    isActing: false,
    failsOverTo: null,
    isOvertaken: false,
  };
  const { standings } = decideRecovery([one], new Map(), { now: asInstant(1), policy: DEFAULT_POLICY });
  expect(standings.get(one.key)).toMatchObject({ state: 'suspect', next: 1 + DEFAULT_POLICY.dwellMs });
});
