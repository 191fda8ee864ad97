import type { WireDocument } from './document.ts';
import { guard } from './guard.ts';
import { DEFAULT_LIMITS } from './limits.ts';

/**
 * Writes a document as JSON: the inverse of {@link read}. What must not travel is left out here as well: clouds (but for
 * their names), and every field that is called like a secret, unless masked by asterisks.
 *
 * @throws FleetError ER0222 where a name means something to JavaScript objects, ER0223 where it is nested too deep
 */
export const write = (document: WireDocument): string =>
  JSON.stringify(guard(document.body, { maxDepth: DEFAULT_LIMITS.maxDepth, maxEntities: Number.POSITIVE_INFINITY }));
