import type { Filter, Page } from './actions.ts';
import { Ec2Refusal } from './refusal.ts';

/** The names by which one kind of thing can be filtered, each with the values that a thing has for it. */
export type FilterNames<T> = (name: string, thing: T) => readonly (string | null)[] | undefined;

/** @throws Ec2Refusal InvalidParameterValue for a filter that does not exist */
export function passes<T>(thing: T, filters: readonly Filter[], valuesOf: FilterNames<T>): boolean {
  return filters.every(({ name, values }) => {
    const found = valuesOf(name, thing);
    if (!found) throw new Ec2Refusal('InvalidParameterValue', `The filter '${name}' is invalid`);
    return found.some((value) => value !== null && values.some((pattern) => isLike(value, pattern)));
  });
}

/** Whether a value fits a pattern in which `*` stands for any text and `?` for any character. */
export function isLike(value: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  /** Where the last `*` was, and up to where in the value it stands for something. */
  let star = -1;
  let until = 0;
  while (at < value.length) {
    const wanted = pattern[next];
    if (wanted === '*') {
      star = next++;
      until = at;
    } else if (wanted === '?' || wanted === value[at]) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++until;
    } else return false;
  }
  while (pattern[next] === '*') next++;
  return next === pattern.length;
}

/** The sizes of a page that EC2 takes. */
const PAGE = { least: 5, most: 1000 };

/**
 * One page of things that are sorted by their ordinals. What was added or has gone since the page before shifts nothing.
 *
 * @throws Ec2Refusal InvalidParameterValue for a page size, InvalidNextToken for a token that cannot be
 */
export function pageOf<T extends { readonly ordinal: number }>(
  things: readonly T[],
  { maxResults, nextToken }: Page,
): { readonly items: readonly T[]; readonly nextToken: string | null } {
  if (maxResults !== undefined && !(maxResults >= PAGE.least && maxResults <= PAGE.most)) {
    throw new Ec2Refusal(
      'InvalidParameterValue',
      `Value ( ${maxResults} ) for parameter maxResults is invalid. Expecting a value between ${PAGE.least} and ${PAGE.most}.`,
    );
  }
  const after = nextToken === undefined ? -1 : ordinalOf(nextToken);
  const rest = things.filter(({ ordinal }) => ordinal > after);
  const items = rest.slice(0, maxResults ?? rest.length);
  const last = items.at(-1);
  return { items, nextToken: last && items.length < rest.length ? tokenOf(last.ordinal) : null };
}

const PREFIX = 'after-';
const tokenOf = (ordinal: number): string => Buffer.from(`${PREFIX}${ordinal}`).toString('base64url');

function ordinalOf(token: string): number {
  const text = Buffer.from(token, 'base64url').toString();
  if (/^after-\d{1,15}$/.test(text)) return Number(text.slice(PREFIX.length));
  throw new Ec2Refusal('InvalidNextToken', 'The specified NextToken is not valid');
}
