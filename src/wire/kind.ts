import type { Kind } from './document.ts';
import type { JsonObject } from './json.ts';
import { malformed } from './refusal.ts';

/** Which fields tell a kind; the first that a document has decides, since it may carry those further down as well. */
const COMPOSED: readonly (readonly [field: string, kind: Kind])[] = [
  ['question', 'reply'],
  ['instances_status', 'heartbeat'],
  ['services_status', 'heartbeat'],
];

const PLAIN = ['events', 'actions', 'command', 'instances', 'services'] as const satisfies readonly Kind[];

/** What a document is, by the fields that it has. One that could be two things is refused: its readers might not agree. */
export function kindOf(root: JsonObject): Kind {
  const composed = COMPOSED.find(([field]) => Object.hasOwn(root, field));
  if (composed !== undefined) return composed[1];
  const kinds = PLAIN.filter((kind) => Object.hasOwn(root, kind));
  const [kind] = kinds;
  if (kind !== undefined && kinds.length === 1) return kind;
  const allowed = `one of ${[...PLAIN, ...COMPOSED.map(([field]) => field)].join(', ')}`;
  throw malformed({
    what: 'document',
    where: 'its root',
    found: kinds.join(' and ') || 'none of the fields that tell its kind',
    allowed,
  });
}
