import { FleetError } from '../../src/errors.ts';
import type { RestCloud } from './cloud.ts';
import { refusedRead } from './refusal.ts';
import type { Asking } from './rest.ts';
import { type Query, verbOf } from './route.ts';
import type { Ask } from './session.ts';

type Paged = RestCloud['list'];
type Words = Pick<RestCloud, 'message' | 'refusal'>;

const MOST_PAGES = 1000;

/**
 * Reads a list, page after page.
 *
 * @param what what is listed, for messages
 * @throws FleetError ER0235 where a page is none, or is one that was read already; as {@link Ask} does
 */
export async function* pagesOf(
  { route, items, next }: Paged,
  what: string,
  words: Words,
  ask: Ask,
  asking: Asking,
  scrub: (text: string) => string,
): AsyncGenerator<readonly unknown[]> {
  const verb = verbOf(route);
  const unusable = (message: string) => new FleetError('ER0235', `${verb}${message}`, { retryable: true });
  let query: Query = {};
  let before = '';
  const seen = new Set<string>();
  for (let page = 1; page <= MOST_PAGES; page++) {
    const answer = await ask({ ...route, query: { ...route.query, ...query } }, asking);
    if (answer.status >= 300) throw refusedRead(words, answer, verb, scrub);
    const listed = answer.isMalformed ? null : items(answer.body);
    if (listed === null) throw unusable(` was answered by no list of ${what}`);
    const following = next?.(answer.body, page) ?? null;
    // Whoever gives every page alike does not heed which one is asked for, and may have no last one.
    const text = following === null && page === 1 ? '' : JSON.stringify(answer.body);
    if (page > 1 && text === before) throw unusable(`: its pages lead in a circle`);
    before = text;
    yield listed;
    if (following === null) return;
    const key = JSON.stringify(following);
    if (seen.has(key)) throw unusable(': its pages lead in a circle');
    seen.add(key);
    query = following;
  }
  throw unusable(` has more than ${MOST_PAGES} pages`);
}
