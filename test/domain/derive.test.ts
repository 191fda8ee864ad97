import { asInstant, type InstanceFacts, type Power, type ServiceFacts, type ServiceRung, type SshAnswer } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { createHeldSince, deriveInstance, deriveService, FULL_LADDER, type InstancePast } from '../../src/domain/derive.ts';

const TOLERANCE = 2;
const NEW: InstancePast = { state: 'unknown', code: '000000', holds: new Set(['unknown']), wasUp: false, misses: 0 };
const WAS_UP: InstancePast = { state: 'managed', code: '000000', holds: new Set(['running', 'managed']), wasUp: true, misses: 1 };

const machine = (power: Power | null, more: Partial<InstanceFacts> = {}): InstanceFacts => ({
  cloud: 'ec2',
  id: 'i-1',
  ip: null,
  readAt: asInstant(0),
  ...(power === null ? {} : { power: { state: power, raw: power } }),
  ...more,
});

const derive = (facts: InstanceFacts, past: InstancePast = NEW) => deriveInstance(facts, past, TOLERANCE);

describe('an instance', () => {
  test.each(['pending', 'stopping', 'stopped', 'shutting-down', 'terminated', 'unknown'] as const)(
    'whose provider says %s is that, whatever ssh answers',
    (power) => {
      expect(derive(machine(power, { ssh: 'up' })).state).toBe(power);
    },
  );

  test('that answers ssh runs, on the highest rung that it shows', () => {
    expect(derive(machine('running', { ssh: 'up' })).state).toBe('ssh-up');
    expect(derive(machine('running', { ssh: 'up', binaries: null, agent: true })).state).toBe('ssh-up');
    expect(derive(machine('running', { ssh: 'up', binaries: 'v1' })).state).toBe('bootstrapped');
    const managed = derive(machine('running', { ssh: 'up', binaries: 'v1', agent: true }));
    expect(managed.state).toBe('managed');
    expect([...managed.holds].sort()).toEqual(['bootstrapped', 'known', 'managed', 'running', 'ssh-up']);
  });

  test('that no provider speaks of runs where its ssh answers, and is unknown where it does not', () => {
    expect(derive(machine(null, { ssh: 'up' })).state).toBe('ssh-up');
    expect(derive(machine(null, { ssh: 'refused' })).state).toBe('unknown');
  });

  test('that has not answered since it started is pending, with the reason', () => {
    expect(derive(machine('running', { ssh: 'refused' }))).toMatchObject({
      state: 'pending',
      code: 'ER0240',
      reason: 'ssh refused',
    });
    expect(derive(machine('running'))).toMatchObject({ state: 'pending', reason: 'ssh was not observed' });
  });

  test.each([
    ['refused', 'ER0240'],
    ['timeout', 'ER0241'],
    ['silent', 'ER0242'],
    ['auth-failed', 'ER0243'],
    ['host-key-changed', 'ER0244'],
  ] as const satisfies readonly (readonly [SshAnswer, string])[])(
    'that was up and whose ssh is %s is doubted first, then unreachable',
    (ssh, code) => {
      const facts = machine('running', { ssh });
      expect(derive(facts, WAS_UP)).toMatchObject({ state: 'managed', suspect: true, code, holds: WAS_UP.holds });
      expect(derive(facts, { ...WAS_UP, misses: TOLERANCE })).toMatchObject({ state: 'unreachable', suspect: false, code });
    },
  );

  test('of whose ssh a reading has no word is what it was, with the reason', () => {
    const unreachable = derive(machine('running', { ssh: 'silent' }), { ...WAS_UP, misses: TOLERANCE });
    const { state, code, holds } = unreachable;
    const past: InstancePast = { ...WAS_UP, state: 'unreachable', code, holds, reason: 'ssh silent', misses: TOLERANCE };
    expect(derive(machine('running'), past)).toMatchObject({ state, code, reason: 'ssh silent', suspect: true });
  });

  test('is known unless it is unknown or unreachable', () => {
    expect(derive(machine('stopped')).holds.has('known')).toBe(true);
    expect(derive(machine('unknown')).holds.has('known')).toBe(false);
    expect(derive(machine('running', { ssh: 'silent' }), { ...WAS_UP, misses: TOLERANCE }).holds.has('known')).toBe(false);
  });
});

const server = (code: string, holds: ServiceFacts['holds'] = {}, reason?: string): ServiceFacts => ({
  name: 'node1',
  readAt: asInstant(0),
  code,
  holds,
  ...(reason === undefined ? {} : { reason }),
});

const DATABASE: readonly ServiceRung[] = ['installed', 'up', 'replicating', 'routed'];

describe('a service', () => {
  test('is on the highest rung below which none is missing', () => {
    const all = { installed: true, up: true, replicating: true, routed: true };
    expect(deriveService(server('000000', all), DATABASE).state).toBe('routed');
    expect(deriveService(server('000000', { ...all, replicating: false }), DATABASE).state).toBe('up');
    expect(deriveService(server('000000', { ...all, routed: false }), DATABASE).state).toBe('replicating');
  });

  test('has no rung that its kind does not have', () => {
    const { state, holds } = deriveService(server('000000', { replicating: true }), ['installed', 'up']);
    expect(state).toBe('up');
    expect(holds.has('replicating')).toBe(false);
  });

  test('of a kind that nobody configured has the rungs that are reported', () => {
    expect(deriveService(server('000000', { routed: true }), FULL_LADDER).state).toBe('routed');
    expect(deriveService(server('000000'), FULL_LADDER).state).toBe('up');
  });

  test('holds its state, the text of its code, and the rungs below', () => {
    const { holds } = deriveService(server('000000', { installed: true, up: true, replicating: true }), DATABASE);
    expect([...holds].sort()).toEqual(['installed', 'known', 'replicating', 'running', 'up'].sort());
    expect(deriveService(server('ER0003'), DATABASE).holds).toEqual(
      new Set(['failing', 'Database communication failure', 'installed', 'known']),
    );
  });

  test('that is down is installed, unless its source says that it is not', () => {
    expect(deriveService(server('ER0023'), DATABASE).holds.has('installed')).toBe(true);
    expect(deriveService(server('ER0023', { installed: false }), DATABASE).holds.has('installed')).toBe(false);
    expect(deriveService(server('ER0024'), DATABASE).holds.has('installed')).toBe(false);
  });

  test('is misconfigured where its source sees another configuration than the wanted one, and where nobody can tell it is not', () => {
    const words = (code: string, configured?: boolean) =>
      deriveService({ ...server(code), ...(configured !== undefined && { configured }) }, DATABASE).holds;
    const seen = [words('000000', false), words('ER0023', false), words('000000', true), words('000000'), words('ER0200', false)];
    expect(seen.map((holds) => holds.has('misconfigured'))).toEqual([true, true, false, false, false]);
  });

  test('with a code that is no state is unknown, with its code, text and reason kept', () => {
    const { state, code, holds, reason } = deriveService(server('ER7777', {}, 'so it is'), DATABASE);
    expect({ state, code, reason }).toEqual({ state: 'unknown', code: 'ER7777', reason: 'so it is' });
    expect(holds.has('known')).toBe(false);
    expect(holds.has('ER7777')).toBe(true);
  });
});

describe('since when a word has held', () => {
  test('is kept while it holds, and begins anew after it was lost', () => {
    const heldSince = createHeldSince();
    const readings = [
      machine('running', { ssh: 'up' }),
      machine('running', { ssh: 'up', binaries: 'v1' }),
      machine('stopped'),
      machine('running', { ssh: 'up' }),
    ];
    let before: Parameters<typeof heldSince>[0] = null;
    const course = readings.map((facts, i) => {
      const derived = derive(facts);
      before = { derived, heldSince: heldSince(before, derived.holds, asInstant(i)) };
      return Object.fromEntries(before.heldSince);
    });
    expect(course).toEqual([
      { running: 0, 'ssh-up': 0, known: 0 },
      { running: 0, 'ssh-up': 0, bootstrapped: 1, known: 0 },
      { stopped: 2, known: 0 },
      { running: 3, 'ssh-up': 3, known: 0 },
    ]);
  });
});
