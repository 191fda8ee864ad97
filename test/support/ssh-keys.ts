import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverFolder } from './run-folder.ts';

export interface SshKey {
  /** The file of the private key; the public one is beside it, as `.pub`. */
  readonly path: string;
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKey: string;
  /** `SHA256:…`, as ssh-keygen shows it. */
  readonly fingerprint: string;
}

/** Makes an ed25519 key pair without a passphrase. */
export function makeSshKey(): SshKey {
  const path = join(serverFolder('key'), 'id_ed25519');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path]);
  const publicKey = readFileSync(`${path}.pub`, 'utf8').trim();
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
  const hash = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return { path, privateKey: readFileSync(path, 'utf8'), publicKey, fingerprint: `SHA256:${hash}` };
}
