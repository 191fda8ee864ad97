import type { Store } from './contracts.ts';
import { type Action, isLive, isSwitchoverBegun } from './domain/action.ts';
import { clusterKeyOf } from './domain/cluster.ts';
import type { Do } from './domain/command.ts';
import type { Problem } from './domain/heartbeat.ts';
import { type ActionId, type EntityKey, type Instant, nameOf, serviceKey } from './domain/identity.ts';
import { type Intent, type KeptRecord, NOTHING_KEPT, offReason, wantedAfter } from './domain/kept.ts';
import { type LookAround, lookAt, recoveringActions } from './domain/look.ts';
import { planDo } from './domain/plan.ts';
import type { Policy } from './domain/policy.ts';
import { decideRecovery, STATE_CODES, type Standing, unlooked } from './domain/recovery.ts';
import type { Service } from './domain/service.ts';
import { FleetError } from './errors.ts';
import type { Recovery } from './face.ts';
import type { Lease } from './lease.ts';
import type { ActionQueue } from './queue.ts';
import { createSharedRecord } from './shared-record.ts';

/** Keeps what is to run running: arms the steps of a start where a service has lost a rung, within limits. */
export interface Keeper {
  /** Looks at what is kept, and recovers what may be; called at the end of each beat. */
  beat(): Promise<void>;
  /** Remembers what is wanted, before it is armed: the last command about a service decides whether it is to run. */
  note(intents: readonly Intent[]): Promise<void>;
  /** @throws ER0203 where nothing of this name is kept, ER0206 where nothing waits for it */
  acknowledge(name: string): Promise<void>;
  list(): Promise<readonly Recovery[]>;
}

const KEY = 'recovery';

export function createKeeper(
  store: Store,
  fleet: {
    readonly kept: readonly Service[];
    /** Whether anything is recovered here at all. */
    readonly acts: boolean;
    readonly around: Omit<LookAround, 'offReason'>;
    readonly queue: Pick<ActionQueue, 'arm' | 'lane'>;
    readonly end: (id: ActionId) => Promise<void>;
    readonly lease: Lease;
    readonly isWarm: () => boolean;
    readonly policy: Policy;
    readonly now: () => Instant;
    readonly onProblem: (problem: Problem) => void;
    readonly onChange: (recovery: Recovery) => void;
  },
): Keeper {
  const { kept, around, queue, lease, now, policy } = fleet;
  const record = createSharedRecord<KeptRecord>(store, KEY, {
    none: NOTHING_KEPT,
    isRecord: (body) => 'run' in body && 'off' in body && 'standings' in body,
  });
  const standings = new Map<EntityKey, Standing>();
  const excess = new Map<string | null, string>();
  /** The record that the standings are of. */
  let known: KeptRecord | null = null;
  let term: number | null = null;

  /** What another has written, or an earlier term: of what was seen since, only the present loss stays. */
  function takeIn(stored: KeptRecord): void {
    if (term !== lease.fence) standings.clear();
    term = lease.fence;
    for (const { name } of kept) {
      const key = serviceKey(name);
      const before = standings.get(key);
      const standing = stored.standings[name];
      // Somebody has acknowledged it: whoever listens is to know why it is recovered again.
      if (before && standing && before.state !== standing.state) fleet.onChange(recoveryOf(key, standing, stored));
      standings.set(key, { ...(standing ?? unlooked(before?.since ?? now())), lost: before?.lost ?? null });
    }
    known = stored;
  }

  async function beat(): Promise<void> {
    if (kept.length === 0 || !fleet.acts) return;
    await record.refresh();
    const stored = record.value;
    if (stored === null || !lease.held() || !fleet.isWarm()) return;
    if (stored !== known || term !== lease.fence) takeIn(stored);
    const looks = kept.map((service) => lookAt(service, { ...around, offReason: (of) => offReason(of, stored) }, standings));
    const decision = decideRecovery(looks, standings, { now: now(), policy });
    const run = looks.filter(({ is }) => is === 'well').map(({ key }) => nameOf(key));
    const next = withStandings(stored, decision.standings, run);
    // Whoever wrote meanwhile may have stopped what would be recovered: the next beat takes that in.
    if (next !== null && (await record.change((found) => (found === stored ? next : null))) !== next) return;
    known = record.value;
    tell(decision.standings, decision.observedOnly, next ?? stored);
    for (const [key, standing] of decision.standings) standings.set(key, standing);
    for (const key of decision.end) await endAll(key);
    for (const key of decision.act) await recover(key, looks.find((look) => look.key === key)?.failsOverTo ?? null);
  }

  const recoveriesOf = (key: EntityKey): readonly Action[] => {
    const service = kept.find(({ name }) => name === nameOf(key));
    return service ? recoveringActions(service, queue.lane) : [];
  };

  async function recover(key: EntityKey, failsOverTo: string | null): Promise<void> {
    const service = kept.find(({ name }) => name === nameOf(key));
    if (!service) return;
    const [what, lane]: [Do, EntityKey] =
      failsOverTo === null
        ? [{ level: 'services', name: service.name, verb: 'start' }, key]
        : [{ level: 'services', name: failsOverTo, verb: 'failover' }, clusterKeyOf(service)];
    const outcome = planDo(what, lane, around.known);
    if (outcome.is !== 'steps') return;
    for (const { id, status } of recoveriesOf(key)) if (status === 'failed') await fleet.end(id);
    await queue.arm(outcome.steps, now, { expiresInMs: policy.recoveryMs });
    await record.refresh();
    if (record.value && offReason(service, record.value) !== null) await endAll(key);
  }

  /** What is to run no more, or takes too long; a change of master that has begun comes to its own end. */
  async function endAll(key: EntityKey): Promise<void> {
    for (const action of recoveriesOf(key)) if (isLive(action) && !isSwitchoverBegun(action)) await fleet.end(action.id);
  }

  function tell(
    decided: ReadonlyMap<EntityKey, Standing>,
    observedOnly: ReadonlyMap<string | null, string>,
    stored: KeptRecord,
  ): void {
    for (const [key, standing] of decided) {
      const before = standings.get(key) ?? unlooked(now());
      if (before.state === standing.state && before.code === standing.code) continue;
      if (before.state !== 'unseen' || standing.state !== 'well') fleet.onChange(recoveryOf(key, standing, stored));
      if (standing.state === 'gave-up')
        fleet.onProblem({ subject: key, code: 'ER0246', message: `${nameOf(key)}: ${standing.reason}` });
    }
    for (const [cluster, text] of observedOnly) {
      if (excess.has(cluster)) continue;
      const message = `${cluster === null ? 'services without a cluster' : `cluster ${cluster}`}: ${text}; nothing of it is recovered`;
      fleet.onProblem({ subject: cluster ?? 'services', code: 'ER0239', message });
    }
    excess.clear();
    for (const [cluster, text] of observedOnly) excess.set(cluster, text);
  }

  const recoveryOf = (
    key: EntityKey,
    { lost: _, wellSince: __, ...standing }: Omit<Standing, 'since'> & Pick<Recovery, 'since'>,
    stored: KeptRecord,
  ): Recovery => {
    const service = kept.find(({ name }) => name === nameOf(key));
    return { key, cluster: service?.cluster ?? null, notWanted: service ? offReason(service, stored) : null, ...standing };
  };

  function listed(service: Service, stored: KeptRecord): Recovery {
    const key = serviceKey(service.name);
    const own = term !== null && lease.held() ? standings.get(key) : undefined;
    const standing = own ?? stored.standings[service.name];
    if (standing) return recoveryOf(key, standing, stored);
    const off = offReason(service, stored);
    const state = off === null ? 'well' : 'off';
    return recoveryOf(key, { ...unlooked(now()), since: null, state, code: STATE_CODES[state], reason: off ?? '' }, stored);
  }

  return {
    beat,
    async note(intents) {
      if (kept.length === 0 || intents.length === 0) return;
      await record.change((stored) => wantedAfter(intents, stored, kept));
    },
    async acknowledge(word) {
      const service = kept.find(({ name }) => name === word || serviceKey(name) === word);
      if (!service) {
        const names = kept.map(({ name }) => name).slice(0, 20);
        throw new FleetError('ER0203', `${JSON.stringify(word)} is not kept; kept are ${names.join(', ') || 'none'}`);
      }
      let isDone = false;
      await record.change((stored) => {
        const { falls = [], lostSince = null } = stored.standings[service.name] ?? {};
        isDone = falls.length > 0;
        const acknowledged = { ...unlooked(now()), reason: 'acknowledged, and not looked at since', lostSince };
        return isDone ? { ...stored, standings: { ...stored.standings, [service.name]: acknowledged } } : null;
      });
      if (!isDone) throw new FleetError('ER0206', `${service.name} was not recovered lately; there is nothing to acknowledge`);
    },
    async list() {
      if (kept.length === 0) return [];
      await record.refresh();
      const stored = record.value;
      if (stored === null) throw new FleetError('ER0237', `the record ${KEY} of the store was written by another version`);
      return kept.map((service) => listed(service, stored));
    },
  };
}

/** The record with what there is to remember; null where it says so already. */
function withStandings(
  stored: KeptRecord,
  standings: ReadonlyMap<EntityKey, Standing>,
  well: readonly string[],
): KeptRecord | null {
  const worth = [...standings].filter(([, { state, falls }]) => falls.length > 0 || !PLAIN.has(state));
  const next: KeptRecord = {
    run: [...new Set([...stored.run, ...well])].sort(),
    off: stored.off,
    standings: Object.fromEntries(worth.map(([key, standing]) => [nameOf(key), { ...standing, lost: null }])),
  };
  return JSON.stringify(next) === JSON.stringify(stored) ? null : next;
}

const PLAIN: ReadonlySet<Standing['state']> = new Set(['well', 'off', 'unseen'] as const);
