import fc from 'fast-check';
import { FAULTS, type FaultRates, SEED_FLEET, type SimulatedFleetOptions, seededRandom } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/contracts.ts';
import { INSTANCE_VERBS } from '../../src/domain/instance.ts';
import { onIp, onService, stage } from '../support/simulated-stage.ts';

const IPS = ['10.0.0.102', '10.0.0.48', '10.0.0.209', '10.0.0.7'];
const STEPS = ['installed', 'up', 'replicating', 'routed', 'stop', 'remove', 'restart'] as const;

type Act =
  | { readonly kind: 'call'; readonly call: Call; readonly token: string }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'read' }
  | { readonly kind: 'cut'; readonly ip: string; readonly power: 'off' | 'on' };

const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ verb: fc.constantFrom(...INSTANCE_VERBS), ip: fc.constantFrom(...IPS) }).map(({ verb, ip }) => onIp(verb, ip)),
  fc
    .record({ step: fc.constantFrom(...STEPS), name: fc.constantFrom(...SEED_FLEET.services.map(({ name }) => name)) })
    .map(({ step, name }) => onService('start', name, step)),
);

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('call'), call, token: fc.constantFrom('a', 'b', 'c', 'd') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'read' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cut'),
      ip: fc.constantFrom('10.0.0.48', '10.0.0.209'),
      power: fc.constantFrom('off', 'on'),
    }),
  },
);

const history = fc.array(act, { maxLength: 60 });
const rates: fc.Arbitrary<FaultRates> = fc.record(
  Object.fromEntries(FAULTS.map((fault) => [fault, fc.constantFrom(0, 0.1, 0.5)])),
);

/** Everything that can be seen of a fleet that goes through a history. */
async function play(acts: readonly Act[], options: Partial<SimulatedFleetOptions>) {
  const fleet = stage({ ...SEED_FLEET, latency: {}, ...options });
  const seen: unknown[] = [];
  const see = async (running: Promise<unknown>) => seen.push(await running.catch((error: unknown) => String(error)));
  for (const it of acts) {
    if (it.kind === 'pass') fleet.pass(it.ms);
    else if (it.kind === 'call') await see(fleet.call(it.call, it.token));
    else if (it.kind === 'read') await see(Promise.all([fleet.readInstances(), fleet.readServices()]));
    else if (fleet.world.powerAt(it.ip)) fleet.world.power(it.ip, it.power);
  }
  fleet.faults.clear();
  await see(Promise.all([fleet.readInstances(), fleet.readServices()]));
  return { fleet, seen };
}

describe('a simulated fleet', () => {
  test('does the same again for the same seed and the same history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), history, rates, async (seed, acts, faults) => {
        const [one, other] = [await play(acts, { seed, faults }), await play(acts, { seed, faults })];
        expect(other.fleet.log).toEqual(one.fleet.log);
        expect(other.seen).toEqual(one.seen);
      }),
      { numRuns: 200 },
    );
  });

  test('does something else for another seed', async () => {
    const acts: Act[] = [{ kind: 'call', call: onIp('launch', '10.0.0.7'), token: 'a' }];
    const [one, other] = [await play(acts, { seed: 1 }), await play(acts, { seed: 2 })];
    expect(other.seen).not.toEqual(one.seen);
  });

  test('ends the same however often it is looked at on the way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), history, async (seed, acts) => {
        const watched = acts.flatMap((it): Act[] =>
          it.kind === 'pass'
            ? [{ kind: 'pass', ms: it.ms >> 1 }, { kind: 'read' }, { kind: 'pass', ms: it.ms - (it.ms >> 1) }]
            : [it],
        );
        const [one, other] = [await play(acts, { seed }), await play(watched, { seed })];
        expect(other.fleet.log).toEqual(one.fleet.log);
        expect(other.seen.at(-1)).toEqual(one.seen.at(-1));
      }),
      { numRuns: 100 },
    );
  });

  test('launches, reboots and restarts once per token and subject, whatever is lost, dropped, refused or repeated', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), history, rates, async (seed, acts, faults) => {
        const { fleet } = await play(acts, { seed, faults });
        const singles = fleet.log
          .filter(
            ({ verb, step, outcome }) => outcome === 'applied' && (verb === 'launch' || verb === 'reboot' || step === 'restart'),
          )
          .map(({ token, verb, step, subject }) => `${token} ${verb} ${step} ${subject}`);
        expect(singles).toEqual([...new Set(singles)]);
      }),
      { numRuns: 200 },
    );
  });

  test('never lists an address twice, nor a rung above one that does not hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), history, rates, async (seed, acts, faults) => {
        const { fleet } = await play(acts, { seed, faults });
        fleet.pass(1_000_000);
        const ips = (await fleet.readInstances()).items.flatMap(({ ip }) => ip ?? []);
        expect(ips).toEqual([...new Set(ips)]);
        for (const { holds } of (await fleet.readServices()).items) {
          const climbed = Object.values(holds);
          expect(climbed).toEqual([...climbed].sort().reverse());
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('a seeded random generator', () => {
  test('gives the same numbers for the same seed, and others for another', () => {
    const numbers = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 20 }, random.next);
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(numbers(7)).not.toEqual(numbers(8));
  });

  test('is even: each of ten values comes up a tenth of the time', () => {
    const random = seededRandom(3);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) {
      const drawn = random.between(0, 9);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test('has forks that do not depend on how much it has given', () => {
    const [one, other] = [seededRandom(5), seededRandom(5)];
    one.next();
    expect(one.fork('faults').next()).toBe(other.fork('faults').next());
    expect(one.fork('faults').next()).not.toBe(one.fork('latency').next());
  });

  test('stays within the bounds that are given, and reaches both', () => {
    const random = seededRandom(9);
    const drawn = new Set(Array.from({ length: 1000 }, () => random.between(2, 5)));
    expect([...drawn].sort()).toEqual([2, 3, 4, 5]);
  });
});
