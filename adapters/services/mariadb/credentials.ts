import { createHash } from 'node:crypto';
import { FleetError } from '../../../src/errors.ts';
import { reveal, type Secret, secret } from '../../http/secret.ts';
import type { Credentials } from './service.ts';

/** A name that needs no care in SQL, in a file or in an argv. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,79}$/;
/** Whose rights are not ours to change. */
const TAKEN: ReadonlySet<string> = new Set(['root', 'mysql', 'mariadb.sys']);

/** The text of a variable of the environment; undefined where it is not set. */
export type ReadVariable = (name: string) => string | undefined;

interface PasswordRule {
  readonly pattern: RegExp;
  readonly allowed: string;
}

/** Reads `{ user, password }`: the password is a secret, or `{ env: 'NAME' }` for the variable that holds it. */
export function credentialsReader(mode: string, variable: ReadVariable) {
  const refuse = (field: string, allowed: string, found: string) =>
    new FleetError('ER0230', `the settings of a ${mode} have as '${field}' ${allowed}, found ${found}`);

  return (field: string, raw: object, defaultUser: string, { pattern, allowed }: PasswordRule): Credentials => {
    const { user = defaultUser, password, ...others } = raw as { user?: unknown; password?: unknown };
    const [stranger] = Object.keys(others);
    if (stranger !== undefined) throw refuse(field, 'user and password', JSON.stringify(stranger));
    if (typeof user !== 'string' || !USER.test(user) || TAKEN.has(user))
      throw refuse(`${field}.user`, 'a name of letters, digits, _ . -, no administrator', JSON.stringify(user));
    const hidden = asSecret(password, variable, (allowed, found) => refuse(`${field}.password`, allowed, found));
    const text = reveal(hidden);
    if (!pattern.test(text)) throw refuse(`${field}.password`, allowed, `another one, of ${text.length} characters`);
    return { user, password: hidden };
  };
}

function asSecret(value: unknown, variable: ReadVariable, refuse: (allowed: string, found: string) => FleetError): Secret {
  const allowed = "a secret, or { env: 'NAME' }";
  if (value === undefined) throw refuse(allowed, 'none');
  if (typeof value !== 'object' || value === null) throw refuse(allowed, `a ${typeof value}`);
  if (!('env' in value)) {
    try {
      reveal(value as Secret);
      return value as Secret;
    } catch {
      throw refuse(allowed, `{ ${Object.keys(value).join(', ')} }`);
    }
  }
  const { env: name } = value;
  if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) throw refuse(allowed, 'no name of a variable');
  const text = variable(name);
  if (text === undefined || text === '') throw refuse('a variable that is set', `${name}, which is not set`);
  return secret(text);
}

/** What MariaDB keeps of a password: where it will do, the password itself need not travel. */
export function passwordHash(hidden: Secret): string {
  const sha1 = (data: string | Buffer) => createHash('sha1').update(data).digest();
  return `*${sha1(sha1(reveal(hidden)))
    .toString('hex')
    .toUpperCase()}`;
}
