import { FleetError } from '../../src/errors.ts';

declare const isSecret: unique symbol;

/** A text that no log, serialiser or error shows; {@link secret} makes it. */
export interface Secret {
  readonly [isSecret]: true;
}

const MASK = '***';
const texts = new WeakMap<Secret, string>();

/** Whoever writes a secret down writes this. */
const masked = {
  toString: () => MASK,
  toJSON: () => MASK,
  [Symbol.for('nodejs.util.inspect.custom')]: () => MASK,
};

/**
 * Marks a text as a secret: from here on only the adapter that it is given to reads it.
 *
 * @throws FleetError ER0230 where there is none, as of a variable that is not set
 * @example
 * ```ts
 * digitalocean({ token: secret(process.env.DIGITALOCEAN_TOKEN) });
 * ```
 */
export function secret(text: string | undefined): Secret {
  if (text === undefined || text === '') {
    throw new FleetError('ER0230', `a secret is a text, found ${text === '' ? 'an empty one' : 'none'}`);
  }
  const made = Object.freeze(Object.create(masked)) as Secret;
  texts.set(made, text);
  return made;
}

/** The text of a secret, to be sent to whom it is for. */
export function reveal(hidden: Secret): string {
  const text = texts.get(hidden);
  if (text === undefined) throw new FleetError('ER0230', 'a secret is made by secret(), found something else');
  return text;
}

/**
 * Takes secrets out of a text that a stranger has written: who was sent one may send it back, also as it stands in JSON, in a url
 * and in base64.
 */
export interface Scrubber {
  /** Tells it of a token that was lent to us; only the last few are remembered. */
  add(token: string): void;
  scrub(text: string): string;
}

/** What is shorter than this is in every text, and no secret. */
const SHORTEST = 4;
const REMEMBERED_TOKENS = 8;

/** @param secrets what is never forgotten */
export function scrubber(secrets: readonly string[]): Scrubber {
  const kept = secrets.flatMap(spellingsOf);
  const tokens: string[][] = [];
  return {
    add(token) {
      tokens.push(spellingsOf(token));
      if (tokens.length > REMEMBERED_TOKENS) tokens.shift();
    },
    scrub(text) {
      let clean = text;
      for (const one of [...kept, ...tokens.flat()]) if (clean.includes(one)) clean = clean.replaceAll(one, MASK);
      return clean;
    },
  };
}

const spellingsOf = (text: string): string[] =>
  text.length < SHORTEST
    ? []
    : [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text), Buffer.from(text).toString('base64')];
