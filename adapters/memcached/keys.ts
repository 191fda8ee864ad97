import { createHash } from 'node:crypto';
import { FleetError } from '../../src/errors.ts';

const KEY_MAX = 250;
const PREFIX = /^[!-~]{0,100}$/;
const PRINTABLE = /^[!-~]+$/;
/** Marks a hashed key, so that no readable key can be equal to one. */
const HASHED = '#';

export function checkedPrefix(prefix: string): string {
  if (PREFIX.test(prefix)) return prefix;
  throw new FleetError(
    'ER0230',
    `the option prefix of memcached is ${JSON.stringify(prefix.slice(0, 120))}, but must be at most 100 printable ASCII characters`,
  );
}

/**
 * The key as it is sent. memcached closes the connection on a key that is empty, over 250 bytes or has blanks in it: such keys
 * are hashed (as UTF-16, for UTF-8 makes one of all lone surrogates).
 */
export function wireKey(prefix: string, key: string): string {
  const isPlain = PRINTABLE.test(key) && !key.startsWith(HASHED) && prefix.length + key.length <= KEY_MAX;
  return prefix + (isPlain ? key : HASHED + createHash('sha256').update(key, 'utf16le').digest('base64url'));
}
