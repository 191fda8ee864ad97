import { createHash } from 'node:crypto';
import { reveal, type Secret } from '../../http/secret.ts';

/** What MariaDB keeps of a password: where it will do, the password itself need not travel. */
export function passwordHash(hidden: Secret): string {
  const sha1 = (data: string | Buffer) => createHash('sha1').update(data).digest();
  return `*${sha1(sha1(reveal(hidden)))
    .toString('hex')
    .toUpperCase()}`;
}
