import type { Store } from '../../src/contracts.ts';
import { FleetError } from '../../src/errors.ts';
import { type Counters, createCounters } from './counters.ts';
import type { Entry } from './entry.ts';
import { createEpochs, type Epoch, LOST } from './epochs.ts';
import type { Journal } from './journal.ts';
import { look, publish } from './publication.ts';
import type { Sightings } from './sightings.ts';
import { inSlices } from './slices.ts';

/** A process takes part in the present epoch of the shared store, once it has published there all that it knows of earlier ones. */
export interface Membership {
  /**
   * Asks until an answer is of one epoch: where the store was lost meanwhile, what is owed is published first, and the same
   * asked again.
   */
  ask<T>(attempt: (term: Term) => Promise<Outcome<T>>): Promise<T>;
  /** @returns a function that ends it */
  onLost(listener: (reason: string) => void): () => void;
  /** Looks after the shared store no more. */
  end(): void;
}

export interface Term {
  readonly epoch: Epoch;
  readonly counters: Counters;
}

export interface Written {
  readonly key: string;
  readonly entry: Entry;
}

/** What an attempt came to, and what follows from it, once it is known to be of one epoch and before it is told. */
export interface Outcome<T> {
  readonly answer: T;
  /** What was changed, if it is owed. */
  readonly written?: Written;
  /** Takes in what was learnt. */
  readonly note?: () => Promise<void>;
}

/** How often in a row the shared store may be lost before an operation is given up. */
const REJOINS = 10;
/** Parts of `keepMs` after which the journal is compared with the shared store. */
const PRUNINGS = 4;
/** How often, while an epoch settles, the others look whether there is a new one. */
const WATCHES = 4;

export function createMembership(options: {
  readonly shared: Store;
  readonly journal: Journal;
  readonly sightings: Sightings;
  readonly keepMs: number;
  readonly settleMs: number;
  readonly now: () => number;
}): Membership {
  const { shared, journal, sightings, keepMs, settleMs, now } = options;
  const present = createEpochs(shared, settleMs);
  const listeners = new Set<(reason: string) => void>();
  let counters: Counters | null = null;
  /** The epoch in which all was published, though it may be over. */
  let last: string | null = null;
  let term: Term | null = null;
  let joining: Promise<Term> | null = null;
  let watching: NodeJS.Timeout | null = null;
  let pruneAt = Number.POSITIVE_INFINITY;

  async function join(): Promise<Term> {
    if (term) return term;
    joining ??= enter().finally(() => {
      joining = null;
    });
    return joining;
  }

  /** What was begun in an epoch that is over does not end the one after it. */
  function leave(left: Term): void {
    if (term === left) term = null;
  }

  async function enter(): Promise<Term> {
    const { epoch: known, ceilings } = await journal.state();
    last ??= known;
    counters ??= createCounters(shared, { known: ceilings, onCeilings: save });
    const from = last;
    for (let attempt = 0; attempt < REJOINS; attempt++) {
      const epoch = await present();
      const next: Term = { epoch, counters };
      try {
        const published = epoch.id === from ? await resume(next) : await carryOver(next);
        await epoch.settled();
        if (!(await epoch.isCurrent())) continue;
        last = epoch.id;
        await save();
        term = next;
        watching ??= setInterval(watch, settleMs / WATCHES).unref();
        if (epoch.id !== from && from !== null)
          tell(`the shared store has lost all it held; ${published} keys were published again`);
        return next;
      } catch (error) {
        unlessLost(error);
      }
    }
    throw lostAgain();
  }

  /** Also without being asked: others wait only so long for what this process knows. */
  async function watch(): Promise<void> {
    const joined = term;
    try {
      if (!joined || (await joined.epoch.isCurrent())) return;
      leave(joined);
      await join();
    } catch {
      // Whoever asks next meets the same, and is told.
    }
  }

  async function resume(next: Term): Promise<number> {
    await next.counters.learn(next.epoch);
    await prune(next);
    return 0;
  }

  async function carryOver(next: Term): Promise<number> {
    const entries = [...sightings.over(await journal.entries())];
    await inSlices(entries, ([key, entry]) => carry(next, key, entry));
    await next.counters.carryOver(next.epoch);
    pruneAt = now() + keepMs / PRUNINGS;
    return entries.filter(([, { kind }]) => kind === 'kept').length;
  }

  /** Lets go of what others have ended, and takes in what they have written, of what is kept here. */
  async function prune(next: Term): Promise<void> {
    pruneAt = now() + keepMs / PRUNINGS;
    const kept = [...(await journal.entries())].filter(([, { kind }]) => kind === 'kept');
    const found = await inSlices(kept, async ([key]) => (await look(shared, next.epoch, key)).entry);
    if (!(await next.epoch.isCurrent())) throw LOST;
    await inSlices([...kept.entries()], async ([i, [key, { version }]]) => {
      const there = found[i];
      if (there) await journal.update(key, there);
      else await journal.put(key, { kind: 'deleted', version: version + 1, text: '' });
    });
  }

  /** What is in the journal when an epoch begins is published in it; what has come too late for that is published here. */
  async function secure({ key, entry }: Written, joined: Term): Promise<void> {
    sightings.note(key, entry);
    await journal.put(key, entry);
    for (let there = joined; !(await there.epoch.isCurrent()); ) {
      leave(there);
      there = await join();
      await carry(there, key, entry).catch(unlessLost);
    }
  }

  async function carry({ epoch }: Term, key: string, entry: Entry): Promise<void> {
    const later = await publish(shared, epoch, { key, entry, now: now(), keepMs });
    if (later) await journal.update(key, later);
  }

  const save = (): Promise<void> => journal.save({ epoch: last, ceilings: counters?.ceilings() ?? new Map() });

  function tell(reason: string): void {
    for (const listener of listeners) queueMicrotask(() => listener(reason));
  }

  return {
    async ask(attempt) {
      for (let i = 0; i < REJOINS; i++) {
        const joined = await join();
        try {
          if (now() >= pruneAt) await prune(joined);
          const { answer, written, note } = await attempt(joined);
          if (await joined.epoch.isCurrent()) {
            await note?.();
            if (written) await secure(written, joined);
            return answer;
          }
        } catch (error) {
          unlessLost(error);
        }
        leave(joined);
      }
      throw lostAgain();
    },
    onLost(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    end() {
      if (watching) clearInterval(watching);
    },
  };
}

function unlessLost(error: unknown): void {
  if (error !== LOST) throw error;
}

const lostAgain = (): FleetError =>
  new FleetError('ER0228', `the shared store was lost ${REJOINS} times in a row`, { retryable: true });
