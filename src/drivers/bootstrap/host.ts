import { posix } from 'node:path';
import type { Permit, Shell, ShellResult } from '../../contracts.ts';
import { saysDiskFull } from '../../domain/disk-full.ts';
import { excerpt } from '../../domain/excerpt.ts';
import type { Ip } from '../../domain/identity.ts';
import { FleetError } from '../../errors.ts';

/** A host on which something is to be brought about, under a permit. */
export interface Host {
  readonly ip: Ip;
  readonly shell: Shell;
  readonly permit: Permit;
  readonly signal: AbortSignal;
}

/** How what keeps a rung is told from what keeps another: by words for the one script that looks at all of them. */
export interface Rung {
  /** What {@link Rung.climb} is called in errors. */
  readonly name: string;
  /** Two words: how the host is looked at, and where. */
  readonly mark: readonly [how: 'file' | 'beat', path: string];
  /** What is found there while the rung holds. */
  readonly version: string;
  climb(host: Host): Promise<void>;
}

/**
 * Runs a constant script on the host, its outside words in the argv.
 *
 * @returns what it wrote
 * @throws FleetError ER0217 where the permit has ended, ER0270 where the host's disk is full, ER0271 where a script said that
 *   a checksum differs, ER0018 for every other end but 0
 */
export async function runScript(
  { ip, shell, permit, signal }: Host,
  script: string,
  words: readonly string[],
  { what, deadlineMs }: { readonly what: string; readonly deadlineMs: number },
): Promise<string> {
  if (!permit.valid()) throw new FleetError('ER0217', `${ip}: the permit ended before ${what}`);
  const result = await shell.run(ip, ['sh', '-c', script, 'sh', ...words], { deadlineMs }, signal);
  if (result.exit !== 0) throw scriptFailure(`${ip}: ${what} ended with ${result.exit}`, result);
  return result.stdout;
}

/** How a script ends that found other content than it was told of. */
export const DIFFERS_EXIT = 65;

function scriptFailure(detail: string, { exit, stdout, stderr }: ShellResult): FleetError {
  const said = `${detail}: ${excerpt(stderr || stdout)}`;
  if (saysDiskFull(stderr)) return new FleetError('ER0270', said, { retryable: true });
  return exit === DIFFERS_EXIT ? new FleetError('ER0271', said, { retryable: true }) : new FleetError('ER0018', said);
}

/** For scripts: the folder or file of their first word, where `~/` is the home of the shell's user; their errors in English. */
export const PLACE = `
export LC_ALL=C
umask 022
fail() { echo "$1" >&2; exit "\${2:-1}"; }
case $1 in '~/'*) place=$HOME/\${1#'~/'} ;; *) place=$1 ;; esac
`;

/** Whether `path` is absolute, or begins at the home of the shell's user, without . and .. and control characters. */
export const isPlace = (path: string): boolean =>
  /^(?:~\/|\/)[^\p{Cc}]*[^/\p{Cc}]$/u.test(path) && posix.normalize(path) === path && !path.split('/').includes('..');
