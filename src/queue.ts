import type { Store } from './contracts.ts';
import { digestOf } from './digest.ts';
import { type Action, isEnded, isLive, type Step } from './domain/action.ts';
import { doText } from './domain/command.ts';
import { type ActionId, asActionId, asToken, type EntityKey, type Instant, type Token } from './domain/identity.ts';
import { placesFor } from './domain/lanes.ts';
import type { Policy } from './domain/policy.ts';
import { FleetError } from './errors.ts';
import { createKnownActions, type Item } from './known-actions.ts';
import { type Migrate, readRecord, writeRecord } from './record.ts';

/** What may change of an action once it is armed. `begun` belongs to the gate, the rest to its chart. */
export type ActionPatch = Partial<Pick<Action, 'status' | 'when' | 'attempts' | 'history' | 'begun' | 'expiresAt'>>;

export interface ArmSettings {
  readonly key?: string;
  readonly expiresInMs?: number;
  readonly onExpire?: Action['onExpire'];
  /** Puts the steps in front of this action, in its lane. */
  readonly before?: Action;
}

/** The actions of a store: the only thing that must survive. */
export interface ActionQueue {
  /** Takes in what others have armed or changed, however long the store takes to answer. `full` looks at every known item again. */
  refresh(now: () => Instant, full: boolean): Promise<void>;
  /** Stores steps as actions before anything happens. Arming twice is arming once among live actions. */
  arm(steps: readonly Step[], now: () => Instant, settings?: ArmSettings): Promise<readonly Action[]>;
  /**
   * Writes a change of one arming by swap. `leader` says that it is the leader's business: a fleet that was deposed meanwhile
   * writes nothing.
   *
   * @returns the action as it is stored now, which may be another's doing, or a later arming with the same id
   * @throws ER0211 where `leader` is asked for and this fleet no longer leads, ER0225, ER0220
   */
  update(of: Pick<Action, 'id' | 'token'>, patch: ActionPatch, by?: 'leader'): Promise<Action>;
  get(id: ActionId): Action | undefined;
  /** Looks at the store again. Null where there is no record. */
  reread(id: ActionId): Promise<Action | null>;
  /** Resolves once nothing is being written. */
  idle(): Promise<void>;
  /** Also finds the record of an action that has ended. */
  find(id: ActionId): Promise<Action | null>;
  byToken(token: Token): Action | undefined;
  lane(key: EntityKey): readonly Action[];
  /** All that have not ended, in the order of their lanes. */
  all(): readonly Action[];
  /** Moves the head over what has ended. Only the leader does. */
  tidy(): Promise<void>;
}

const TAIL = 'q:tail';
const HEAD = 'q:head';
/** Counts changes made to items by those who do not lead, so that the leader knows when to look again. */
const REVISION = 'q:rev';
/** Counts the records that did not fit; they are kept as they were. */
const ASIDE = 'x:tail';
const indexKey = (n: number): string => `q:${n}`;
const itemKey = (id: ActionId): string => `a:${id}`;

export function createQueue(
  store: Store,
  policy: Pick<Policy, 'expiresMs' | 'historyMs' | 'graceMs'>,
  on: {
    /** Told of every record that this fleet wrote. */
    readonly written: (action: Action) => void;
    /** Told of every record that another fleet wrote. */
    readonly found: (action: Action) => void;
    /** Told when a record is gone that has not ended. */
    readonly lost: (action: Action) => void;
    /** Told of every record that does not fit; it was set aside under `key`. */
    readonly unfit: (id: string, key: string) => void;
    readonly isLeader: () => boolean;
  },
  migrate?: Migrate,
): ActionQueue {
  const known = createKnownActions();
  /** Where each index entry past the head leads. Fleets that arm the same at once make an entry each. */
  const entries = new Map<number, ActionId>();
  /** Index entries whose item has not been seen, and since when we have been waiting for it. */
  const holes = new Map<number, Instant | null>();
  const underWay = new Map<ActionId, Promise<unknown>>();
  let seen = 0;
  let head = 0;
  let revision: string | null = null;

  function keep(item: Item, tell: (action: Action) => void): void {
    known.put(item);
    tell(item.action);
  }

  /** What is done about one action is done in turn, so that nothing read earlier replaces what was written later. */
  async function inTurn<T>(id: ActionId, work: () => Promise<T>): Promise<T> {
    const before = underWay.get(id);
    const next = before ? before.then(work, work) : work();
    underWay.set(id, next);
    try {
      return await next;
    } finally {
      if (underWay.get(id) === next) underWay.delete(id);
    }
  }

  async function refresh(now: () => Instant, full: boolean): Promise<void> {
    const [tailText, revisionText] = await Promise.all([store.get(TAIL), store.get(REVISION)]);
    const tail = Number(tailText ?? 0);
    if (seen === 0) seen = head = Number((await store.get(HEAD)) ?? 0);
    if (tail < seen) {
      seen = head = 0;
      entries.clear();
    }
    // What this fleet has armed itself it has not to look for.
    while (seen < tail) if (!isArmedAt(++seen)) holes.set(seen, null);
    await Promise.all([...holes.keys()].map((n) => load(n, now)));
    if (full || revisionText !== revision) await Promise.all(known.ids().map((id) => inTurn(id, () => reload(id))));
    revision = revisionText;
  }

  function isArmedAt(n: number): boolean {
    const action = known.get(entries.get(n) ?? NOBODY)?.action;
    return action !== undefined && armingOf(action) === n;
  }

  async function load(n: number, now: () => Instant): Promise<void> {
    const askedAt = now();
    const text = await store.get(indexKey(n));
    const id = text === null ? null : asActionId(text);
    if (id !== null) entries.set(n, id);
    const isThere = id !== null && (await inTurn(id, () => loadItem(id, n)));
    const since = holes.get(n) ?? null;
    // From the end of the first look to the beginning of the last: the store may have taken its time for both.
    if (isThere || (since !== null && askedAt - since >= policy.graceMs)) holes.delete(n);
    else holes.set(n, since ?? now());
  }

  /** @returns whether the record is the one that index entry `n` announces: it may yet be written in place of an older one */
  async function loadItem(id: ActionId, n: number): Promise<boolean> {
    const text = await store.get(itemKey(id));
    if (text === null) return false;
    const action = readRecord(text, migrate);
    if (!action) {
      await setAside(id, n, text);
      return true;
    }
    const before = known.get(id);
    if (before ? before.text !== text : !isEnded(action)) keep({ text, action }, on.found);
    return armingOf(action) === n;
  }

  /** A record that does not fit is never dropped: somebody may still read it. Its id is free again. */
  async function setAside(id: ActionId, n: number, text: string): Promise<void> {
    if (!on.isLeader()) return;
    const key = `x:${await store.increment(ASIDE)}`;
    await store.set(key, text);
    await store.swap(itemKey(id), text, null);
    await store.delete(indexKey(n));
    on.unfit(id, key);
  }

  /** @returns the action as the store has it */
  async function reload(id: ActionId): Promise<Action | null> {
    const text = await store.get(itemKey(id));
    const item = known.get(id);
    if (item && text === item.text) return item.action;
    const action = text === null ? null : readRecord(text, migrate);
    if (item && !action) on.lost(item.action);
    if (text !== null && action && (item || !isEnded(action))) {
      entries.set(armingOf(action), id);
      keep({ text, action }, on.found);
    }
    return action;
  }

  async function arm(steps: readonly Step[], now: () => Instant, settings: ArmSettings = {}): Promise<readonly Action[]> {
    const armed: Action[] = [];
    const armedAt = now();
    const ids = new Map(steps.map((step) => [step, idOf(step, settings)]));
    const standing = {
      of: (step: Step) => known.get(ids.get(step) ?? NOBODY)?.action,
      in: known.lane,
    };
    const stood = steps.map((step) => standing.of(step) !== undefined);
    let places = placesFor(steps, standing, settings.before);
    for (const [i, step] of steps.entries()) {
      const id = ids.get(step) ?? idOf(step, settings);
      const armedOnce = async (): Promise<Action> => {
        // What is believed here may have ended elsewhere.
        const already = known.has(id) ? await reload(id) : null;
        if (already && isLive(already)) return already;
        // What stood there, by the looks of it, is over: its place is not the new one's.
        if (stood[i]) places = placesFor(steps, standing, settings.before);
        return await armOne(step, id, places[i] ?? null, { now, armedAt }, settings);
      };
      armed.push(await inTurn(id, armedOnce));
    }
    return armed;
  }

  async function armOne(
    step: Step,
    id: ActionId,
    place: number | null,
    { now, armedAt }: { readonly now: () => Instant; readonly armedAt: Instant },
    settings: ArmSettings,
  ): Promise<Action> {
    const begunAt = now();
    const n = await store.increment(TAIL);
    let action: Action = {
      lane: step.lane,
      when: step.when,
      do: step.do,
      id,
      token: asToken(`${id}.${n}`),
      order: place ?? n,
      armedAt,
      expiresAt: (armedAt + (settings.expiresInMs ?? policy.expiresMs)) as Instant,
      onExpire: settings.onExpire ?? 'drop',
      status: 'waiting',
      attempts: 0,
      begun: null,
      history: [],
    };
    await store.set(indexKey(n), id);
    entries.set(n, id);
    let text = writeRecord(action);
    for (;;) {
      if (await store.add(itemKey(id), text)) break;
      const found = await store.get(itemKey(id));
      if (found === null) continue;
      const other = readRecord(found, migrate);
      if (!other) {
        await setAside(id, n, found);
        await store.set(indexKey(n), id);
        continue;
      }
      if (isLive(other)) {
        keep({ text: found, action: other }, on.found);
        return other;
      }
      if (!isEnded(other)) {
        action = inPlaceOf(other, action);
        text = writeRecord(action);
      }
      if (await store.swap(itemKey(id), found, text)) break;
    }
    if (armingOf(action) !== n) await forget(n);
    keep({ text, action }, on.written);
    // Whoever was frozen in between has written a record that a leader perhaps looks for no more.
    if (now() - begunAt >= policy.graceMs) await store.set(indexKey(await store.increment(TAIL)), id);
    return action;
  }

  const update: ActionQueue['update'] = (of, patch, by) => inTurn(of.id, () => write(of, patch, by));

  async function write(
    { id, token }: Pick<Action, 'id' | 'token'>,
    patch: ActionPatch,
    by: 'leader' | undefined,
  ): Promise<Action> {
    for (;;) {
      if (by === 'leader' && !on.isLeader()) throw new FleetError('ER0211', `action ${id} is its successor's business`);
      const item = known.get(id);
      if (!item) {
        const stored = await reload(id);
        if (stored) return stored;
        throw new FleetError('ER0225', `no action has the id ${id}`);
      }
      if (item.action.token !== token) return item.action;
      const action: Action = { ...item.action, ...patch };
      const text = writeRecord(action);
      if (await store.swap(itemKey(id), item.text, text, isEnded(action) ? policy.historyMs : undefined)) {
        // It is so from here on, whatever becomes of the rest: an entry that stays leads to a record that has ended.
        keep({ text, action }, on.written);
        if (isEnded(action)) await forget(armingOf(action));
        if (!on.isLeader()) await store.increment(REVISION);
        return action;
      }
      const found = await store.get(itemKey(id));
      const other = found === null ? null : readRecord(found, migrate);
      if (found === null || !other) throw new FleetError('ER0220', `the record of action ${id} is gone from the store`);
      if (found === text) {
        keep({ text, action }, on.written);
        return action;
      }
      keep({ text: found, action: other }, on.found);
      const isExtended = patch.history?.at(-1)?.outcome === 'expired' && other.expiresAt !== item.action.expiresAt;
      if (isEnded(other) || isExtended || other.token !== token) return other;
    }
  }

  async function forget(n: number): Promise<void> {
    await store.delete(indexKey(n));
    entries.delete(n);
  }

  return {
    refresh,
    arm,
    update,
    get: (id) => known.get(id)?.action,
    find: async (id) => known.get(id)?.action ?? inTurn(id, () => reload(id)),
    reread: (id) => inTurn(id, () => reload(id)),
    async idle() {
      while (underWay.size > 0) await Promise.allSettled(underWay.values());
    },
    byToken: known.byToken,
    lane: known.lane,
    all: known.all,
    async tidy() {
      const isNeeded = (n: number) => holes.has(n) || known.has(entries.get(n) ?? NOBODY);
      let next = head;
      while (next < seen && !isNeeded(next + 1)) entries.delete(++next);
      if (next === head) return;
      head = next;
      await store.set(HEAD, String(next));
    },
  };
}

const NOBODY = asActionId('');

/**
 * A new arming that replaces a failed one. Of a launch that was perhaps made it is another try, under the same token: only by that
 * can it be found out what was launched.
 */
function inPlaceOf(failed: Action, { token, ...fresh }: Action): Action {
  const isSameLaunch = failed.do.verb === 'launch' && failed.begun !== null;
  if (!isSameLaunch) return { ...fresh, token, order: failed.order };
  return { ...fresh, token: failed.token, order: failed.order, begun: failed.begun, history: failed.history };
}

/** The index entry under which an action was armed, which is the end of its token. */
const armingOf = ({ token }: Action): number => Number(token.slice(token.lastIndexOf('.') + 1));

/** What is armed twice has one id; the trigger does not count. */
function idOf(step: Step, settings: ArmSettings): ActionId {
  const key = settings.key ?? (settings.before ? settings.before.id : '');
  return asActionId(digestOf(`${step.lane}\n${doText(step.do)}\n${key}`));
}
