import { asInstant, SERVICE_RUNGS, type ServiceState } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { CONFIGURE, INSTALL, REMOVE, RESTART, START, STOP, SYNC, serviceView, stageService } from './service-stage.ts';
import { LIMITS } from './stage.ts';

const VERBS = [INSTALL, START, STOP, RESTART, REMOVE, SYNC, CONFIGURE];

type Stage = ReturnType<typeof stageService>;

const steps = (stage: Stage) => stage.perform.calls.map(({ input }) => input.step);

/** A stopped service that is being started: its server's call is waiting for an answer. */
function starting(): Stage {
  const stage = stageService();
  stage.beat('stopped');
  stage.ask(START);
  return stage;
}

/** A service that was started while uninstalled and has climbed so far; its next call is waiting for an answer. */
async function climbedTo(state: 'stopped' | 'up' | 'replicating'): Promise<Stage> {
  const stage = stageService();
  stage.beat('uninstalled');
  stage.ask(START);
  for (const reached of ['stopped', 'up', 'replicating'] as const) {
    await stage.accept();
    stage.beat(reached);
    if (reached === state) break;
  }
  return stage;
}

describe('what is observed', () => {
  test.each<[ServiceState, string]>([
    ['unknown', 'unknown'],
    ['uninstalled', 'uninstalled'],
    ['stopped', 'stopped'],
    ['starting', 'starting'],
    ['stopping', 'stopping'],
    ['failing', 'failing'],
    ['up', 'running.up'],
    ['replicating', 'running.replicating'],
    ['routed', 'running.routed'],
  ])('a heartbeat that says %s leads to %s from anywhere', (state, path) => {
    for (const before of ['unknown', 'stopped', 'routed'] as const) {
      const stage = stageService();
      stage.beat(before);
      stage.beat(state);
      expect(stage.observed()).toBe(path);
    }
  });

  test('a rung carries the words of the rungs below it', () => {
    const stage = stageService();
    stage.beat('replicating');
    expect(['running', 'up', 'replicating', 'routed'].filter(stage.hasTag)).toEqual(['running', 'up', 'replicating']);
  });

  test('a rung lost while nothing is being done is merely observed', () => {
    const stage = stageService();
    stage.beat('routed');
    stage.beat('stopped');
    expect(stage.operation()).toBe('available.idle');
    expect(stage.perform.calls).toEqual([]);
  });
});

describe('a start', () => {
  test('climbs the ladder rung by rung, each after the one below was observed', async () => {
    const stage = stageService();
    stage.beat('uninstalled');
    stage.ask(START);
    const climb: [ServiceState, string][] = [];
    for (const state of ['stopped', 'up', 'replicating', 'routed'] as const) {
      await stage.accept();
      stage.beat(state);
      climb.push([state, stage.operation()]);
    }
    expect(climb).toEqual([
      ['stopped', 'busy.bringing-up.calling'],
      ['up', 'busy.syncing.calling'],
      ['replicating', 'busy.routing.calling'],
      ['routed', 'available.idle'],
    ]);
    expect(steps(stage)).toEqual(['installed', 'up', 'replicating', 'routed']);
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('skips what its kind does not have', async () => {
    const stage = stageService(['installed', 'up']);
    stage.beat('uninstalled');
    stage.ask(START);
    await stage.accept();
    stage.beat('stopped');
    await stage.accept();
    stage.beat('up');
    expect(steps(stage)).toEqual(['installed', 'up']);
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('skips the rungs that hold', () => {
    const stage = stageService();
    stage.beat('replicating');
    stage.ask(START);
    expect(steps(stage)).toEqual(['routed']);
  });

  test('skips a rung that came to hold by itself', async () => {
    const stage = await climbedTo('stopped');
    await stage.accept();
    stage.beat('replicating');
    expect(stage.operation()).toBe('busy.routing.calling');
  });

  test('of a service that stands on its top rung is done without a call', () => {
    const stage = stageService();
    stage.beat('routed');
    stage.ask(START);
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.perform.calls).toEqual([]);
  });

  test('does not take a rung from a reading that began before its call was accepted', async () => {
    const stage = starting();
    await stage.accept();
    stage.beat('up', { readAt: asInstant(stage.now()) });
    expect(stage.operation()).toBe('busy.bringing-up.settling');
    stage.beat('up');
    expect(stage.operation()).toBe('busy.syncing.calling');
  });

  test('climbs again from a lower rung that was lost', async () => {
    const stage = await climbedTo('up');
    await stage.accept();
    stage.beat('up');
    expect(stage.operation()).toBe('busy.syncing.settling');
    stage.beat('stopped');
    expect(stage.operation()).toBe('busy.bringing-up.calling');
    expect(stage.context().operation?.failures).toBe(0);
  });

  test('does not believe a rung lost by a reading that began before its call was accepted', async () => {
    const stage = await climbedTo('up');
    const before = stage.now();
    await stage.accept();
    stage.beat('stopped', { readAt: before });
    expect(stage.operation()).toBe('busy.syncing.settling');
  });

  test('installs again only what is known to be uninstalled', async () => {
    const stage = starting();
    await stage.accept();
    stage.beat('unknown');
    expect(stage.operation()).toBe('busy.bringing-up.settling');
    stage.beat('uninstalled');
    expect(stage.operation()).toBe('busy.installing.calling');
  });

  test.each([
    ['installing', 'uninstalled', 'stopped'],
    ['bringing-up', 'stopped', 'up'],
    ['syncing', 'up', 'replicating'],
  ] as const)('forgets the failures of %s for the rung above, which has its own tries and time', async (step, below, reached) => {
    const stage = stageService();
    stage.beat(below);
    stage.ask(START);
    await stage.refuse();
    stage.beat(below, { after: 5000 });
    expect(stage.operation()).toBe(`busy.${step}.calling`);
    await stage.accept();
    stage.beat(reached, { after: 15_000 });
    expect(stage.context().operation).toMatchObject({ failures: 0, failure: null, dueAt: stage.now() + LIMITS.callMs });
    expect(stage.perform.latest().input.attempt).toBe(1);
  });

  test('gives every rung the whole time of a call, and takes no reading from before that call', async () => {
    const stage = starting();
    await stage.accept();
    stage.beat('up', { after: 15_000 });
    stage.beat('up', { after: LIMITS.callMs - 1 });
    expect(stage.operation()).toBe('busy.syncing.calling');
    const acceptedAt = stage.now();
    await stage.accept();
    stage.beat('replicating', { readAt: acceptedAt });
    expect(stage.operation()).toBe('busy.syncing.settling');
  });

  test('that is done leaves nothing behind', async () => {
    const stage = stageService(['installed', 'up']);
    stage.beat('stopped');
    stage.ask(START);
    await stage.accept();
    stage.beat('up');
    expect(stage.context().operation).toBeNull();
  });

  test('goes on where it stands after a failed try', async () => {
    const stage = starting();
    await stage.refuse();
    expect(stage.operation()).toBe('busy.backing-off');
    stage.beat('up', { after: 5000 });
    expect(stage.operation()).toBe('busy.syncing.calling');
  });
});

test('a climb never rests between two rungs', () => {
  const states: readonly ServiceState[] = [
    'unknown',
    'uninstalled',
    'stopped',
    'starting',
    'stopping',
    'failing',
    'up',
    'replicating',
  ];
  const ladders = [
    ['installed', 'up'],
    ['installed', 'up', 'replicating'],
    ['installed', 'up', 'routed'],
    SERVICE_RUNGS,
  ] as const;
  for (const ladder of ladders)
    for (const state of states)
      for (const what of [START, INSTALL])
        for (const unmet of [[], ['services/node1']]) {
          const stage = stageService(ladder);
          stage.beat(state, { unmet });
          stage.ask(what);
          expect(stage.operation()).not.toBe('busy.climbing');
        }
});

describe('an install', () => {
  test('is done when the software is there, whatever the ladder goes on to', async () => {
    const stage = stageService();
    stage.beat('uninstalled');
    stage.ask(INSTALL);
    await stage.accept();
    stage.beat('stopped');
    expect(steps(stage)).toEqual(['installed']);
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('of a service in an unknown state waits until somebody can say', () => {
    const stage = stageService();
    stage.beat('unknown');
    stage.ask(INSTALL);
    expect(stage.operation()).toBe('busy.waiting-for-needs');
    stage.beat('unknown');
    expect(stage.perform.calls).toEqual([]);
    stage.beat('failing');
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.perform.calls).toEqual([]);
  });
});

describe('needs', () => {
  const master = ['services/node1'];

  test('that are unmet are waited for and cost no attempt', async () => {
    const stage = starting();
    await stage.accept();
    stage.beat('up', { unmet: master });
    expect(stage.operation()).toBe('busy.waiting-for-needs');
    stage.beat('up', { unmet: master, after: 30_000 });
    expect(stage.perform.calls).toHaveLength(1);
    stage.beat('up');
    expect(stage.operation()).toBe('busy.syncing.calling');
    expect(stage.context().operation?.failures).toBe(0);
    expect(stage.perform.latest().input.attempt).toBe(1);
  });

  test('that never come fail the start retryably', () => {
    const stage = stageService();
    stage.beat('up', { unmet: master });
    stage.ask(START);
    stage.beat('up', { unmet: master, after: LIMITS.needsMs - 1 });
    expect(stage.heard).toEqual([]);
    stage.beat('up', { unmet: master, after: 1 });
    expect(stage.operation()).toBe('available.failed');
    expect(stage.emitted[0]).toMatchObject({ type: 'failed', code: 'ER0218', retryable: true });
    expect(stage.context().operation?.tokens).toEqual([]);
  });

  test('are waited for no longer where nobody can say anything at all', () => {
    const stage = stageService();
    stage.ask(START);
    stage.beat('unknown', { after: LIMITS.needsMs - 1 });
    expect(stage.operation()).toBe('busy.waiting-for-needs');
    stage.beat('unknown', { after: 1 });
    expect(stage.heard).toEqual(['failed A ER0218']);
  });

  test('are not waited out while the source is blind', () => {
    const stage = stageService();
    stage.beat('up', { unmet: master });
    stage.ask(START);
    stage.beat('up', { unmet: master, after: LIMITS.needsMs, fresh: false });
    expect(stage.operation()).toBe('busy.waiting-for-needs');
  });

  test('that are met do not make a start go on while nobody can say what holds', () => {
    const stage = stageService();
    stage.ask(START);
    stage.beat('unknown');
    expect(stage.operation()).toBe('busy.waiting-for-needs');
    stage.beat('uninstalled');
    expect(stage.operation()).toBe('busy.installing.calling');
  });
});

describe('a host that is lost', () => {
  test('fails what is being done, retryably', () => {
    const stage = starting();
    stage.beat('unknown', { hostLost: true });
    expect(stage.operation()).toBe('available.failed');
    expect(stage.heard).toEqual(['failed A ER0216']);
    expect(stage.emitted[0]?.retryable).toBe(true);
    expect(stage.context().operation?.tokens).toEqual([]);
    expect(stage.perform.latest().signal.aborted).toBe(true);
  });

  test('is believed only where it was freshly seen', () => {
    const stage = starting();
    stage.beat('unknown', { hostLost: true, fresh: false });
    expect(stage.operation()).toBe('busy.bringing-up.calling');
  });

  test('is not called, neither when needs are met nor when a try is due', async () => {
    const waiting = stageService();
    waiting.ask(START);
    waiting.beat('stopped', { hostLost: true });

    const climbing = starting();
    await climbing.refuse();
    climbing.beat('stopped', { hostLost: true, after: 5000 });

    const stopping = stageService();
    stopping.beat('up');
    stopping.ask(STOP);
    await stopping.refuse();
    stopping.beat('up', { hostLost: true, after: 5000 });

    expect([waiting, climbing, stopping].map((stage) => stage.operation())).toEqual(Array(3).fill('available.failed'));
    expect([waiting, climbing, stopping].map((stage) => stage.perform.calls.length)).toEqual([0, 1, 1]);
  });

  test('is not called for the next rung when one has just been reached', async () => {
    const stage = starting();
    await stage.accept();
    stage.beat('up', { hostLost: true });
    expect(stage.perform.calls).toHaveLength(1);
    stage.beat('up', { hostLost: true });
    expect(stage.heard).toEqual(['failed A ER0216']);
  });
});

describe('a verb of one call', () => {
  test.each([
    ['stop', STOP, 'stop', 'up', 'stopping', 'stopped'],
    ['stop', STOP, 'stop', 'up', 'stopping', 'uninstalled'],
    ['remove', REMOVE, 'remove', 'stopped', 'stopped', 'uninstalled'],
    ['sync', SYNC, 'replicating', 'up', 'up', 'replicating'],
    ['bootstrap_config', CONFIGURE, 'configure', 'up', 'unknown', 'up'],
    ['bootstrap_config', CONFIGURE, 'configure', 'stopped', 'unknown', 'stopped'],
    ['bootstrap_config', CONFIGURE, 'configure', 'failing', 'uninstalled', 'failing'],
  ] as const)(
    '$0 is performed as $2 and takes a service from $3 over $4 to $5',
    async (_, what, step, before, meanwhile, goal) => {
      const stage = stageService();
      stage.beat(before);
      stage.ask(what);
      expect(stage.perform.latest().input).toMatchObject({ do: what, step });
      await stage.accept();
      stage.beat(meanwhile);
      expect(stage.heard).toEqual([]);
      stage.beat(goal);
      expect(stage.heard).toEqual(['succeeded A 000000']);
      expect(stage.context().operation).toBeNull();
    },
  );

  test('is not done by a reading that began before it was accepted', async () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(STOP);
    await stage.accept();
    stage.beat('stopped', { readAt: asInstant(1000) });
    expect(stage.operation()).toBe('busy.settling');
  });

  test('is made again as itself after a failed try', async () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(STOP);
    await stage.refuse();
    stage.beat('up', { after: 5000 });
    expect(stage.operation()).toBe('busy.calling');
    expect(steps(stage)).toEqual(['stop', 'stop']);
  });

  test('that is overdue is given up and made again', async () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(STOP);
    stage.beat('up', { after: LIMITS.callMs });
    expect(stage.operation()).toBe('busy.backing-off');
    stage.beat('up', { after: 5000 });
    stage.beat('up', { after: LIMITS.callMs - 1 });
    expect(stage.operation()).toBe('busy.calling');
    await stage.accept();
    stage.beat('up', { after: LIMITS.settleMs });
    expect(stage.operation()).toBe('busy.backing-off');
    expect(stage.context().operation?.failures).toBe(2);
  });
});

describe('a configuration that is brought in line', () => {
  const misconfigured = (state: 'stopped' | 'up'): { readonly holds: ReadonlySet<string> } => ({
    holds: new Set([...serviceView(state).holds, 'misconfigured']),
  });

  test.each(['stopped', 'up'] as const)(
    'is so once a later reading of one that is %s no longer sees another one',
    async (state) => {
      const stage = stageService();
      stage.beat(state, misconfigured(state));
      stage.ask(CONFIGURE);
      stage.beat(state);
      await stage.accept();
      stage.beat(state, { readAt: asInstant(1000) });
      stage.beat(state, misconfigured(state));
      expect(stage.heard).toEqual([]);
      stage.beat(state);
      expect(stage.heard).toEqual(['succeeded A 000000']);
    },
  );

  test('is not so while what was up is up no more', async () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(CONFIGURE);
    await stage.accept();
    for (const state of ['failing', 'starting', 'stopped'] as const) stage.beat(state);
    expect(stage.operation()).toBe('busy.settling');
    stage.beat('routed');
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('may be called again where nobody knows whether it was', async () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(CONFIGURE, { begun: { at: asInstant(500), mark: null } });
    await stage.refuse({ code: 'ER0220' });
    stage.beat('up', { after: 5000 });
    expect(steps(stage)).toEqual(['configure', 'configure']);
  });
});

describe('a restart', () => {
  test('is done when the run id has changed and it is up', async () => {
    const stage = stageService();
    stage.beat('up', { mark: 'run-1' });
    stage.ask(RESTART);
    await stage.accept();
    stage.beat('up', { mark: 'run-1' });
    stage.beat('starting', { mark: 'run-2' });
    expect(stage.heard).toEqual([]);
    stage.beat('up', { mark: 'run-2' });
    expect(stage.heard).toEqual(['succeeded A 000000']);
  });

  test('is not done by a run id that nobody could read', async () => {
    const stage = stageService();
    stage.beat('up', { mark: 'run-1' });
    stage.ask(RESTART);
    await stage.accept();
    stage.beat('up', { mark: null });
    expect(stage.operation()).toBe('busy.settling');
  });

  test('whose call was refused is called again', async () => {
    const stage = stageService();
    stage.beat('up', { mark: 'run-1' });
    stage.ask(RESTART);
    await stage.refuse();
    stage.beat('up', { mark: 'run-1', after: 5000 });
    expect(steps(stage)).toEqual(['restart', 'restart']);
  });

  test('once begun is only judged, never called again', () => {
    const stage = stageService();
    stage.beat('up', { mark: 'run-2' });
    stage.ask(RESTART, { begun: { at: asInstant(500), mark: 'run-1' } });
    stage.beat('up', { mark: 'run-2' });
    expect(stage.heard).toEqual(['succeeded A 000000']);
    expect(stage.perform.calls).toEqual([]);
  });

  test('whose call perhaps happened is judged, and fails for good where its effect is never seen', async () => {
    const stage = stageService();
    stage.beat('up', { mark: 'run-1' });
    stage.ask(RESTART);
    await stage.refuse({ code: 'ER0220' });
    expect(stage.operation()).toBe('busy.settling');
    stage.beat('up', { mark: 'run-1', after: LIMITS.settleMs });
    expect(stage.emitted[0]).toMatchObject({ type: 'failed', code: 'ER0213', retryable: false });
    expect(stage.perform.calls).toHaveLength(1);
  });
});

describe('who asks while it is busy', () => {
  test('the same verb joins and each token hears the end once', () => {
    const stage = stageService();
    stage.ask(START, { token: 'A' });
    stage.ask(START, { token: 'B' });
    stage.beat('routed');
    stage.beat('routed');
    expect(stage.heard).toEqual(['succeeded A 000000', 'succeeded B 000000']);
  });

  test.each([
    ['start', START, 'start stop remove'],
    ['install', INSTALL, 'install stop remove'],
    ['restart', RESTART, 'stop restart remove'],
    ['sync', SYNC, 'stop remove sync'],
    ['bootstrap_config', CONFIGURE, 'stop remove bootstrap_config'],
    ['stop', STOP, 'stop remove'],
    ['remove', REMOVE, 'remove'],
  ] as const)('while a %s is under way, only these are legal: $2', (_, what, legal) => {
    const stage = stageService();
    stage.beat('uninstalled');
    stage.ask(what);
    const taken = VERBS.filter((other) => stage.mayAsk(other));
    expect(new Set(taken.map(({ verb }) => verb))).toEqual(new Set(legal.split(' ')));
  });

  test('every verb is legal while it is available', () => {
    const stage = stageService();
    expect(VERBS.filter((what) => !stage.mayAsk(what))).toEqual([]);
  });

  test('stop pre-empts a running start and its tokens hear cancelled', async () => {
    const stage = starting();
    const start = stage.perform.latest();
    stage.ask(STOP, { token: 'S' });
    expect(stage.heard).toEqual(['cancelled A ER0217']);
    expect(start.signal.aborted).toBe(true);
    await stage.accept();
    stage.beat('stopped');
    expect(stage.heard).toEqual(['cancelled A ER0217', 'succeeded S 000000']);
  });

  test('remove pre-empts stop', () => {
    const stage = stageService();
    stage.beat('up');
    stage.ask(STOP, { token: 'S' });
    stage.ask(REMOVE, { token: 'R' });
    expect(stage.heard).toEqual(['cancelled S ER0217']);
    expect(stage.perform.latest().input).toMatchObject({ step: 'remove', token: 'R' });
  });

  test('cancel of one of two tokens leaves the operation to the other', () => {
    const stage = starting();
    stage.ask(START, { token: 'B' });
    stage.cancel('A');
    expect(stage.heard).toEqual(['cancelled A ER0217']);
    expect(stage.operation()).toBe('busy.bringing-up.calling');
    stage.cancel('B');
    expect(stage.heard).toEqual(['cancelled A ER0217', 'cancelled B ER0217']);
    expect(stage.operation()).toBe('available.idle');
    expect(stage.context().operation).toBeNull();
    expect(stage.perform.latest().signal.aborted).toBe(true);
  });
});

describe('what fails', () => {
  test.each([
    ['uninstalled', 'installing'],
    ['stopped', 'bringing-up'],
    ['up', 'syncing'],
    ['replicating', 'routing'],
  ] as const)('a try from %s (%s) backs off when it is refused, not answered, or not seen', async (state, step) => {
    const stage = stageService();
    stage.beat(state);
    stage.ask(START);
    expect(stage.operation()).toBe(`busy.${step}.calling`);
    stage.beat(state, { after: LIMITS.callMs - 1 });
    expect(stage.operation()).toBe(`busy.${step}.calling`);
    stage.beat(state, { after: 1 });
    expect(stage.operation()).toBe('busy.backing-off');
    stage.beat(state, { after: 5000 });
    expect(stage.operation()).toBe(`busy.${step}.calling`);
    await stage.accept();
    stage.beat(state, { after: LIMITS.settleMs - 1 });
    expect(stage.operation()).toBe(`busy.${step}.settling`);
    stage.beat(state, { after: 1 });
    expect(stage.operation()).toBe('busy.backing-off');
    stage.beat(state, { after: 5000 });
    await stage.refuse();
    expect(stage.heard).toEqual(['failed A ER0221']);
  });

  test('attempts exhausted: failed, with attention; a later observation of the goal clears it', async () => {
    const stage = starting();
    for (let attempt = 1; attempt <= LIMITS.callAttempts; attempt++) {
      await stage.refuse();
      stage.beat('stopped', { after: 5000 });
    }
    expect(stage.perform.calls).toHaveLength(LIMITS.callAttempts);
    expect(stage.operation()).toBe('available.failed');
    expect(stage.context().operation?.tokens).toEqual([]);
    expect(stage.hasTag('attention')).toBe(true);
    stage.beat('up');
    expect(stage.hasTag('attention')).toBe(true);
    stage.beat('routed');
    expect(stage.operation()).toBe('available.idle');
    expect(stage.heard).toEqual(['failed A ER0221']);
  });

  test('a failed operation is not cleared by a reading from before its end', async () => {
    const stage = starting();
    const failedAt = stage.now();
    await stage.refuse({ retryable: false });
    stage.beat('routed', { readAt: failedAt });
    expect(stage.operation()).toBe('available.failed');
    stage.beat('routed');
    expect(stage.operation()).toBe('available.idle');
  });

  test('a try is not made again before it is due, nor while the source is blind', async () => {
    const stage = starting();
    await stage.refuse();
    stage.beat('stopped', { after: 100 });
    stage.beat('stopped', { after: 100_000, fresh: false });
    expect(stage.perform.calls).toHaveLength(1);
  });

  test('no deadline of a call passes while the source is blind', async () => {
    const stage = starting();
    stage.beat('stopped', { after: 100_000, fresh: false });
    expect(stage.operation()).toBe('busy.bringing-up.calling');
    await stage.accept();
    stage.beat('stopped', { after: 100_000, fresh: false });
    expect(stage.operation()).toBe('busy.bringing-up.settling');
  });
});
