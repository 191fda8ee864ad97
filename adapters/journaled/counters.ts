import type { Store } from '../../src/contracts.ts';
import { FleetError } from '../../src/errors.ts';
import { isCounter } from './entry.ts';
import { type Epoch, LOST } from './epochs.ts';
import { highest } from './journal.ts';
import { look } from './publication.ts';

/**
 * The counters of the shared store begin at 1 again with each epoch. So each has a floor in its epoch, which is added to it, and
 * a ceiling, which is written down before any number above it is handed out, and is the floor of the epoch after.
 */
export interface Counters {
  /** The number that `raw` stands for. A later call never gives a lower one for the same or a later count. */
  numberOf(key: string, raw: string, epoch: Epoch): Promise<number>;
  increment(key: string, epoch: Epoch): Promise<number>;
  /** Lifts the counters of an epoch above all numbers that this process knows of those before. */
  carryOver(epoch: Epoch): Promise<void>;
  /** Takes in what others know. */
  learn(epoch: Epoch): Promise<void>;
  ceilings(): ReadonlyMap<string, number>;
}

/** What everybody knows of the counters. */
interface Ledger {
  readonly floors: ReadonlyMap<string, number>;
  readonly ceilings: ReadonlyMap<string, number>;
}

const KEY = 'journaled:counters';
/** How far a ceiling is ahead: so many numbers are handed out between two writings, and left out after a loss. */
const LEAP = 100;
const NOTHING: Ledger = { floors: new Map(), ceilings: new Map() };

export function createCounters(
  shared: Store,
  options: { readonly known: ReadonlyMap<string, number>; readonly onCeilings: () => Promise<void> },
): Counters {
  let ceilings = options.known;
  /** What is known by now includes the epoch to which it was carried over. */
  let carriedTo: string | null = null;

  async function absorb(ledger: Ledger): Promise<Ledger> {
    const merged = highest(ceilings, ledger.ceilings);
    const isNews = [...merged].some(([key, ceiling]) => ceilings.get(key) !== ceiling);
    ceilings = merged;
    if (isNews) await options.onCeilings();
    return ledger;
  }

  /** Merges more into the ledger. One that is missing, or of an epoch that is over, begins with what is known here. */
  async function raise(epoch: Epoch, more: Ledger): Promise<Ledger> {
    for (;;) {
      const raw = await shared.get(KEY);
      const found = raw === null ? null : ledgerIn(raw, epoch);
      if (raw !== null && found === null && !(await epoch.isCurrent())) throw LOST;
      const from = found ?? above(ceilings);
      const next: Ledger = { floors: highest(from.floors, more.floors), ceilings: highest(from.ceilings, more.ceilings) };
      const text = JSON.stringify({ epoch: epoch.id, floors: [...next.floors], ceilings: [...next.ceilings] });
      if (text === raw || (raw === null ? await shared.add(KEY, text) : await shared.swap(KEY, raw, text))) return absorb(next);
    }
  }

  async function ledgerOf(epoch: Epoch): Promise<Ledger> {
    const raw = await shared.get(KEY);
    const found = raw === null ? null : ledgerIn(raw, epoch);
    return found ? absorb(found) : raise(epoch, NOTHING);
  }

  async function numberOf(key: string, raw: string, epoch: Epoch): Promise<number> {
    const number = Number(raw) + ((await ledgerOf(epoch)).floors.get(key) ?? 0);
    if (Number.isSafeInteger(number)) return number;
    throw new FleetError('ER0228', `the counter ${JSON.stringify(key)} is beyond what a number can hold`);
  }

  /** The next count of this epoch alone. One whose answer was lost is left out. */
  async function count(key: string, epoch: Epoch): Promise<number> {
    try {
      return await shared.increment(key);
    } catch (error) {
      const { raw, entry } = await look(shared, epoch, key);
      const isText = entry !== null && entry.kind !== 'deleted';
      if (raw === null || isText) throw error;
      if (!isCounter(raw)) await shared.swap(key, raw, null);
      return shared.increment(key);
    }
  }

  return {
    numberOf,
    async increment(key, epoch) {
      const number = await numberOf(key, String(await count(key, epoch)), epoch);
      if (number > (ceilings.get(key) ?? 0)) await raise(epoch, { ...NOTHING, ceilings: new Map([[key, number + LEAP]]) });
      return number;
    },
    async carryOver(epoch) {
      const { floors } = await raise(epoch, carriedTo === epoch.id ? NOTHING : above(ceilings));
      carriedTo = epoch.id;
      // So that it reads as a number again, and not as missing.
      for (const key of floors.keys()) if ((await shared.get(key)) === null) await count(key, epoch);
    },
    async learn(epoch) {
      await ledgerOf(epoch);
    },
    ceilings: () => ceilings,
  };
}

const above = (ceilings: ReadonlyMap<string, number>): Ledger => ({
  floors: ceilings,
  ceilings: new Map([...ceilings].map(([key, ceiling]) => [key, ceiling + LEAP])),
});

/** Null where it is of another epoch. */
function ledgerIn(raw: string, { id }: Epoch): Ledger | null {
  const found: {
    readonly epoch: string;
    readonly floors: readonly (readonly [string, number])[];
    readonly ceilings: readonly (readonly [string, number])[];
  } = JSON.parse(raw);
  return found.epoch === id ? { floors: new Map(found.floors), ceilings: new Map(found.ceilings) } : null;
}
