import type { Shell } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import type { Ip } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';

/** A service with a directory of its own on a host; the names are file names in it. */
export interface Place {
  readonly name: string;
  readonly ip: Ip;
  readonly dir: string;
  readonly config: string;
  readonly pidFile: string;
}

/** The longest of the scripts waits for ten seconds. */
const SCRIPT_MS = 20_000;

/**
 * Runs a script that begins as `DIRECTORY` does on the host of a service, and gives what it wrote.
 *
 * @param verb what it does, for a person
 * @throws FleetError ER0018 where it ends with anything but 0, with what it said
 */
export async function runScript(
  verb: string,
  { name, ip, dir, config, pidFile }: Place,
  shell: Shell,
  script: string,
  words: readonly string[],
  signal: AbortSignal,
  stdin = '',
): Promise<string> {
  const argv = ['sh', '-c', script, 'sh', dir, name, config, pidFile, ...words];
  const { exit, stdout, stderr } = await shell.run(ip, argv, { stdin, deadlineMs: SCRIPT_MS }, signal);
  if (exit === 0) return stdout;
  throw new FleetError('ER0018', `to ${verb} ${name} on ${ip} ended with ${exit}: ${excerpt(stderr)}`, { retryable: true });
}
