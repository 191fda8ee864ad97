import { FleetError } from '../../errors.ts';
import { type Path, pathText, shown } from '../../wire/refusal.ts';
import { isSecret } from '../../wire/secrets.ts';

/** Something in a configuration that cannot be. */
export interface Mistake {
  readonly path: Path;
  /** What stands there, as text made by {@link found}. */
  readonly found: string;
  readonly allowed: string;
}

/** Where a configuration comes from, and where in its text a path stands. */
export interface Origin {
  readonly file: string;
  /** `line 3, column 5`, where the format can tell. */
  readonly placeOf?: (path: Path) => string | null;
}

/** The error of a mistake: file, path, found, allowed. */
export function configurationError(origin: Origin, { path, found, allowed }: Mistake, cause?: unknown): FleetError {
  const place = origin.placeOf?.(path) ?? null;
  const where = place === null ? pathText(path) : `${pathText(path)} (${place})`;
  const detail = `${shownFile(origin.file)}: ${where}: found ${found}, allowed: ${allowed}`;
  return new FleetError('ER0230', detail, cause === undefined ? {} : { cause });
}

const shownFile = (file: string): string => JSON.stringify(file).slice(1, -1);

/** Texts that carry a secret wherever they stand: a key, or credentials in an address. */
const CARRIES_SECRET = /PRIVATE KEY|@/;

/** What may be one: the path of a webhook's url, its headers, the environment of a script. */
const MAYBE_SECRETS: ReadonlySet<string> = new Set(['webhook', 'headers', 'env']);

/** What a machine is told when it first starts, in the spellings of providers: often with a password in it. */
export const USER_DATA = /^user_?data$/i;

/** A value as a message may show it: what stands under a secret's name, or looks like one, is described and not shown. */
export function found(path: Path, value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return shown(value);
  const isHidden =
    path.some((part) => typeof part === 'string' && (isSecret(part, value) || MAYBE_SECRETS.has(part) || USER_DATA.test(part))) ||
    CARRIES_SECRET.test(String(value));
  if (!isHidden) return shown(typeof value === 'bigint' ? String(value) : value);
  return typeof value === 'string' ? `a text of ${value.length} characters` : 'a number';
}
