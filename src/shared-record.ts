import type { Store } from './contracts.ts';
import { FleetError } from './errors.ts';
import { createTurns } from './turns.ts';

/** A small record that all fleets on a store share and any of them may change. */
export interface SharedRecord<T> {
  /** As it was when it was last looked at; null where it was written by a later version, and nobody here can read it. */
  readonly value: T | null;
  /** Looks at the store. Where that fails, what was known stays. */
  refresh(): Promise<void>;
  /**
   * Writes what `next` makes of the record as it is stored now; null leaves it as it is. `next` may be asked again.
   *
   * @returns the record as it is stored then
   * @throws ER0237 where a later version wrote it
   */
  change(next: (stored: T) => T | null): Promise<T>;
}

export function createSharedRecord<T extends object>(
  store: Store,
  key: string,
  of: {
    /** Where nothing is stored. */
    readonly none: T;
    /** Whether what was read, apart from its version, is such a record. */
    readonly isRecord: (body: object) => boolean;
  },
): SharedRecord<T> {
  const inTurn = createTurns();
  let text: string | null = null;
  let value: T | null = of.none;

  async function look(): Promise<void> {
    const found = await store.get(key);
    if (found !== text) value = found === null ? of.none : read(found);
    text = found;
  }

  function read(found: string): T | null {
    try {
      const record: unknown = JSON.parse(found);
      if (typeof record !== 'object' || record === null || !('version' in record) || record.version !== 1) return null;
      const { version: _, ...body } = record;
      return of.isRecord(body) ? (body as unknown as T) : null;
    } catch {
      return null;
    }
  }

  async function write(next: (stored: T) => T | null): Promise<T> {
    for (;;) {
      await look();
      if (value === null) throw new FleetError('ER0237', `the record ${key} of the store was written by another version`);
      const changed = next(value);
      if (changed === null) return value;
      const written = JSON.stringify({ version: 1, ...changed });
      const isWritten = text === null ? await store.add(key, written) : await store.swap(key, text, written);
      if (!isWritten) continue;
      text = written;
      value = changed;
      return changed;
    }
  }

  return {
    get value() {
      return value;
    },
    refresh: () => inTurn(look),
    change: (next) => inTurn(() => write(next)),
  };
}
