import * as v from 'valibot';
import type { Store } from '../../contracts.ts';
import { isObject } from '../../wire/json.ts';
import * as f from './fields.ts';
import { isAdapter } from './tame.ts';

const { described, exactly, optional, text } = f;

const isStore = (value: unknown): value is Store =>
  isObject(value) && ['get', 'set', 'add', 'swap', 'delete', 'increment'].every((method) => typeof value[method] === 'function');

const sqliteStore = exactly({
  driver: described('A file of this host, shared by all processes that name it.', v.literal('sqlite')),
  file: described('Default: fleetbeat.db for fleetbeat.config.*, beside it.', optional(f.path)),
  busyMs: described('How long one operation waits for other processes.', optional(f.wholeNumber(0, 600_000), 5000)),
});

const memcachedStore = exactly({
  driver: described('Shared by all processes that name it.', v.literal('memcached')),
  servers: described('The one server.', f.server),
  prefix: described(
    'Stands before every key.',
    optional(
      text('at most 100 printable ASCII characters', (found) => /^[\x21-\x7e]{1,100}$/.test(found)),
      'fleetbeat:',
    ),
  ),
  deadlineMs: described('How long one operation may take.', optional(f.wholeNumber(1, 60_000), 1000)),
  itemBytes: described("The server's own limit of an item.", optional(f.wholeNumber(10_240, 1024 ** 3), 1024 ** 2)),
  journal: described(
    'A file of this host that outlives memcached: fleetbeat.journal.db for fleetbeat.config.*, beside it. false: without.',
    optional(f.eitherOr((value) => typeof value === 'boolean', v.literal(false, 'false, or the path of a file'), f.path)),
  ),
});

const memoryStore = exactly({ driver: described('Ends with the process.', v.literal('memory')) });

const namedStore = v.variant('driver', [sqliteStore, memcachedStore, memoryStore], ({ path }) =>
  path?.at(-1)?.key === 'driver'
    ? 'sqlite, memcached, memory, or in a JavaScript file a store'
    : 'an object with a driver: sqlite, memcached or memory',
);

const givenStore = v.custom<Store>(isStore, 'a store: get, set, add, swap, delete, increment');

/** Where what waits is kept. */
export const store = v.lazy((input) => (isObject(input) && isAdapter(input) ? givenStore : namedStore));

export type StoreAsked = v.InferOutput<typeof store>;
