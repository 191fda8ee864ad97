import * as v from 'valibot';
import type { DocumentOf, Kind } from './document.ts';
import { guard } from './guard.ts';
import { isObject } from './json.ts';
import { kindOf } from './kind.ts';
import { modernised } from './lenient.ts';
import { type Limits, limitsOf } from './limits.ts';
import { parse } from './parse.ts';
import { malformed, pathText, shown, sortOf } from './refusal.ts';
import { SHAPES } from './shapes.ts';

/** How a text is read. */
export interface ReadOptions<K extends Kind = Kind> extends Partial<Limits> {
  /** The only kind that is taken; any unless said. */
  readonly kind?: K;
  /**
   * Also reads what the old writers produced: the state `On` of code 000000, codes that are numbers or `"0"`, a `return` that
   * is a code itself or calls it `error`. False unless said.
   */
  readonly lenient?: boolean;
}

/**
 * Reads one document, word for word. Unknown fields are kept, secrets are dropped; whatever else is wrong is refused with
 * what, where, found and allowed, and then nothing of the document is given.
 *
 * @param input JSON, as text or as bytes in UTF-8
 * @param options `maxBytes` is 8 MiB, `maxDepth` 32 levels, `maxEntities` 100,000 entries of lists,
 * `maxNames` 10,000 names of an object, unless said
 * @throws FleetError ER0222 (malformed), ER0223 (too large)
 *
 * @example
 * ```ts
 * const document = read(stdin, { lenient: true });
 * if (document.kind === 'heartbeat') await fleet.observe(toHeartbeat(document, { readAt, arrival }));
 * ```
 */
export function read<K extends Kind = Kind>(input: string | Uint8Array, options: ReadOptions<K> = {}): DocumentOf<K> {
  const limits = limitsOf(options);
  const root = guard(parse(input, limits), limits);
  if (!isObject(root)) throw malformed({ what: 'document', where: pathText([]), found: sortOf(root), allowed: 'an object' });
  const kind = kindOf(root);
  if (options.kind !== undefined && kind !== options.kind) {
    throw malformed({ what: 'document', where: pathText([]), found: `the kind ${kind}`, allowed: `the kind ${options.kind}` });
  }
  const body = options.lenient ? modernised(kind, root) : root;
  refuseOtherShapes(kind, body);
  // The schemas check and change nothing; their output would only put the fields in another order.
  return { kind, body } as DocumentOf<K>;
}

/** The schemas that expect an object or a list. */
const STRUCTURES: ReadonlySet<string> = new Set(['custom', 'array', 'variant', 'union']);

function refuseOtherShapes(kind: Kind, body: unknown): void {
  const { issues } = v.safeParse(SHAPES[kind], body, { abortEarly: true });
  if (issues === undefined) return;
  const [{ type, path, input, message }] = issues;
  const where = pathText((path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key))));
  throw malformed({ what: kind, where, found: STRUCTURES.has(type) ? sortOf(input) : shown(input), allowed: message });
}
