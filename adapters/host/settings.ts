import { posix } from 'node:path';
import { FleetError } from '../../src/errors.ts';
import { reveal, type Secret, secret } from '../http/secret.ts';

/** Reads the settings of one service field by field; what is left at the end is refused. */
export interface Fields {
  /** @param allowed what may stand there, as it follows "have as '<key>'" */
  take<T>(key: string, fallback: T, isAllowed: (value: unknown) => value is T, allowed: string): T;
  /** A secret, or `{ env: 'NAME' }` for the variable that holds it. It is never shown. */
  takeSecret(key: string): Secret | null;
  /** @throws FleetError ER0230 where there is a field that nobody took */
  end(): void;
}

/** @throws FleetError ER0230 where the settings are no object; so do its functions, with what was found and what is allowed */
export function fieldsOf(raw: unknown, mode: string, env: Readonly<Record<string, string | undefined>> = process.env): Fields {
  const refusal = (allowed: string, found: string) =>
    new FleetError('ER0230', `the settings of a ${mode} ${allowed}, found ${found}`);
  if (raw !== undefined && !isRecord(raw)) throw refusal('are an object', shown(raw));
  const given = new Map<string, unknown>(Object.entries(raw ?? {}));
  const known: string[] = [];

  const pick = (key: string): unknown => {
    const value = given.get(key);
    known.push(key);
    given.delete(key);
    return value;
  };

  return {
    take(key, fallback, isAllowed, allowed) {
      const value = pick(key);
      if (value === undefined) return fallback;
      if (!isAllowed(value)) throw refusal(`have as '${key}' ${allowed}`, shown(value));
      return value;
    },
    takeSecret(key) {
      const value = pick(key);
      if (value === undefined) return null;
      const allowed = `have as '${key}' a secret, or { env: 'NAME' }`;
      if (!isRecord(value)) throw refusal(allowed, `a ${typeof value}`);
      if (!('env' in value)) return ofSecret(value as unknown as Secret, () => refusal(allowed, shown(value)));
      const { env: name } = value;
      if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
        throw refusal(allowed, 'no name of a variable');
      const text = env[name];
      if (!text) throw refusal(`have as '${key}' a variable that is set`, `${name}, which is not`);
      return secret(text);
    },
    end() {
      const [stranger] = given.keys();
      if (stranger !== undefined) throw refusal(`are ${known.join(', ')}`, JSON.stringify(stranger));
    },
  };
}

function ofSecret(value: Secret, refusal: () => FleetError): Secret {
  try {
    reveal(value);
    return value;
  } catch {
    throw refusal();
  }
}

/** What is in an object may be a secret; its fields tell enough. */
const shown = (found: unknown): string => (isRecord(found) ? `{ ${Object.keys(found).join(', ')} }` : JSON.stringify(found));

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isWithin =
  (low: number, high: number) =>
  (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;

export const isText =
  (pattern: RegExp) =>
  (value: unknown): value is string =>
    typeof value === 'string' && pattern.test(value);

export const isOrNull =
  <T>(isAllowed: (value: unknown) => value is T) =>
  (value: unknown): value is T | null =>
    value === null || isAllowed(value);

export const isListOf =
  <T>(isAllowed: (value: unknown) => value is T) =>
  (value: unknown): value is readonly T[] =>
    Array.isArray(value) && value.length > 0 && value.every(isAllowed);

export const isPort = isWithin(1, 65_535);
export const isUserName = isText(/^[a-z_][a-z0-9_-]{0,31}$/);
/** A program of the host's PATH, or an absolute path. */
export const isProgram = isText(/^[A-Za-z0-9_/][A-Za-z0-9._/+-]*$/);

/** Not a directory of the root directory: those are never one service's own. */
export const isOwnDirectory = (value: unknown): value is string =>
  isText(/^\/[^/\p{Cc}]+\/[^\p{Cc}]*[^/\p{Cc}]$/u)(value) && posix.normalize(value) === value;

export const OWN_DIRECTORY = 'an absolute path of two steps or more, without . and ..';
