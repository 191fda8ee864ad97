import { isObject } from '../../wire/json.ts';
import { isSecret } from '../../wire/secrets.ts';
import type { Configuration } from './check.ts';
import { USER_DATA } from './mistake.ts';
import { isAdapter } from './tame.ts';

const MASK = '***';

/** The configuration as it is in force, defaults filled in, secrets masked. */
export function display({ origin, cloud, beatEveryMs, kinds, ...configured }: Configuration): unknown {
  return {
    file: origin.file,
    ...(masked(configured) as object),
    ...(kinds.length > 0 && { kinds: kinds.map(({ mode, host, ladder }) => ({ mode, host, ladder })) }),
  };
}

function masked(value: unknown): unknown {
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.map(masked);
  if (!isObject(value)) return value;
  if (isAdapter(value)) return 'an object of the configuration file';
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, shownAs(field, inner)]));
}

function shownAs(field: string, value: unknown): unknown {
  if (field === 'webhook' && typeof value === 'string') return URL.canParse(value) ? `${new URL(value).origin}/${MASK}` : MASK;
  if (MAYBE_SECRETS.has(field) && isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, isObject(text) ? masked(text) : MASK]));
  return isSecretText(field, value) || (USER_DATA.test(field) && typeof value === 'string') ? MASK : masked(value);
}

/** Texts by name, which only those who wrote them can tell from secrets. */
const MAYBE_SECRETS: ReadonlySet<string> = new Set(['headers', 'env']);

/** Objects and lists are looked into instead: what stands under `clouds` is no secret as a whole. */
const isSecretText = (field: string, value: unknown): boolean =>
  !NO_SECRETS.has(field) && typeof value !== 'object' && isSecret(field, value);

/** Who logs in, and the variable that holds a secret, are told: whoever reads this may need to mend them. */
const NO_SECRETS: ReadonlySet<string> = new Set(['username', 'user', 'applicationCredentialId', 'env']);
