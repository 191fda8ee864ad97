import type { Limits } from './limits.ts';
import { shown } from './refusal.ts';

/** The first thing in a text that makes it no JSON, or more than is taken. */
export interface Flaw {
  readonly offset: number;
  readonly found: string;
  readonly allowed: string;
  readonly isTooLarge?: true;
}

/** What may come next; `first …` where the object or list may also end at once. */
type Expected = 'first value' | 'value' | 'first name' | 'name' | 'colon' | 'comma';

/** Where a token ends, or what is wrong in it. */
type Token = { readonly end: number } | { readonly flaw: Flaw };

/** The names of an open object so far, or null for an open list. */
type Open = Set<string> | null;

const MAY_CLOSE: ReadonlySet<Expected> = new Set<Expected>(['first value', 'first name', 'comma']);
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERALS = ['true', 'false', 'null'];

/**
 * Looks a JSON text over before it is parsed: the messages of `JSON.parse` differ by version and quote the text, and a text
 * that is nested or wide beyond measure costs it seconds. A name that an object has twice is a flaw too: one of both would be lost.
 * @returns the first flaw, or null where `JSON.parse` will take the text.
 */
export function scan(text: string, { maxDepth, maxNames }: Pick<Limits, 'maxDepth' | 'maxNames'>): Flaw | null {
  const open: Open[] = [];
  let expected: Expected = 'value';
  let offset = skipBlanks(text, 0);
  do {
    const char = text[offset];
    const names = open.at(-1);
    if (names !== undefined && MAY_CLOSE.has(expected) && char === (names ? '}' : ']')) {
      open.pop();
      offset++;
      expected = 'comma';
    } else if (expected === 'comma') {
      if (char !== ',') return flawAt(text, offset, names ? '"," or "}"' : '"," or "]"');
      offset++;
      expected = names ? 'name' : 'value';
    } else if (expected === 'colon') {
      if (char !== ':') return flawAt(text, offset, '":"');
      offset++;
      expected = 'value';
    } else if (expected === 'name' || expected === 'first name') {
      if (char !== '"') return flawAt(text, offset, `a name in double quotes${expected === 'name' ? '' : ' or "}"'}`);
      const token = stringToken(text, offset);
      if ('flaw' in token) return token.flaw;
      const name = nameIn(text.slice(offset, token.end));
      if (names?.has(name)) return { offset, found: 'a name for the second time', allowed: 'each name once in an object' };
      names?.add(name);
      if (names && names.size > maxNames) {
        return { offset, found: `name ${names.size} of an object`, allowed: `at most ${maxNames}`, isTooLarge: true };
      }
      offset = token.end;
      expected = 'colon';
    } else if (char === '{' || char === '[') {
      if (open.length === maxDepth) {
        return { offset, found: `level ${maxDepth + 1}`, allowed: `at most ${maxDepth} levels`, isTooLarge: true };
      }
      open.push(char === '{' ? new Set() : null);
      offset++;
      expected = char === '{' ? 'first name' : 'first value';
    } else {
      const token = scalarToken(text, offset, `a value${expected === 'value' ? '' : ' or "]"'}`);
      if ('flaw' in token) return token.flaw;
      offset = token.end;
      expected = 'comma';
    }
    offset = skipBlanks(text, offset);
  } while (open.length > 0);
  return offset === text.length ? null : flawAt(text, offset, 'the end of the text');
}

function skipBlanks(text: string, from: number): number {
  let offset = from;
  for (;;) {
    const char = text.charCodeAt(offset);
    if (char !== 0x20 && char !== 0x0a && char !== 0x0d && char !== 0x09) return offset;
    offset++;
  }
}

function scalarToken(text: string, offset: number, allowed: string): Token {
  if (text[offset] === '"') return stringToken(text, offset);
  const literal = LITERALS.find((word) => text.startsWith(word, offset));
  if (literal !== undefined) return { end: offset + literal.length };
  NUMBER.lastIndex = offset;
  return NUMBER.test(text) ? { end: NUMBER.lastIndex } : { flaw: flawAt(text, offset, allowed) };
}

function stringToken(text: string, start: number): Token {
  let offset = start + 1;
  for (;;) {
    const char = text.charCodeAt(offset);
    if (char === 0x22) return { end: offset + 1 };
    if (char === 0x5c) {
      ESCAPE.lastIndex = offset;
      if (!ESCAPE.test(text)) return { flaw: flawAt(text, offset, 'an escape that JSON knows') };
      offset = ESCAPE.lastIndex;
    } else if (char >= 0x20) {
      offset++;
    } else {
      return { flaw: flawAt(text, offset, 'the closing quote of the text; control characters are written as escapes') };
    }
  }
}

const nameIn = (quoted: string): string => (quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1));

/** Shows one character only: what stands around it may be part of a secret. */
function flawAt(text: string, offset: number, allowed: string): Flaw {
  const codePoint = text.codePointAt(offset);
  return { offset, found: codePoint === undefined ? 'the end of the text' : shown(String.fromCodePoint(codePoint)), allowed };
}

/** Line and column of an offset, both from 1; a line ends with LF, CR or both. */
export function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const lineEnds = /\r\n|\n|\r/g;
  let line = 1;
  let start = 0;
  for (let end = lineEnds.exec(text); end !== null && lineEnds.lastIndex <= offset; end = lineEnds.exec(text)) {
    line++;
    start = lineEnds.lastIndex;
  }
  return { line, column: offset - start + 1 };
}
