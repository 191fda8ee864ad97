import type { Shell } from '../../../src/contracts.ts';
import { saysDiskFull } from '../../../src/domain/disk-full.ts';
import { excerpt } from '../../../src/domain/excerpt.ts';
import { FleetError } from '../../../src/errors.ts';
import { scrubber } from '../../http/secret.ts';
import { ADMINISTER } from './scripts.ts';
import { dataDirOf, type Mariadb, secretsOf, socketOf } from './service.ts';

/** What is done on the host of one service, as whoever the shell logs in as. */
export interface Host {
  readonly of: Mariadb;
  /** Runs a script and gives what it wrote. Words, and what comes on its standard input, are read by no shell. */
  run(verb: string, script: string, words?: readonly string[], options?: RunOptions): Promise<string>;
  /** Runs SQL as administrator of the server, through its socket; nothing of it is in an argv, nor in an error. */
  administer(verb: string, statements: readonly string[]): Promise<string>;
}

export interface RunOptions {
  readonly stdin?: string;
  /** Default 15000. */
  readonly deadlineMs?: number;
  /** It changes nothing and leaves nothing running, as a shell that stays open takes it. */
  readonly onlyLooks?: true;
}

/** The longest script that waits for nothing. */
const SCRIPT_MS = 15_000;
const SQL_MS = 60_000;

/** The logs of queries, where somebody has them on, would hold the password of a `CHANGE MASTER`. */
const NOT_LOGGED = 'SET SESSION sql_log_off = 1, slow_query_log = 0';

/** @param others of whom it is told secrets too, such as its master */
export function hostOf(of: Mariadb, shell: Shell, signal: AbortSignal, others: readonly Mariadb[] = []): Host {
  const { scrub } = scrubber([of, ...others].flatMap(secretsOf));

  const run: Host['run'] = async (verb, script, words = [], { stdin, deadlineMs = SCRIPT_MS, onlyLooks } = {}) => {
    const argv = ['sh', '-c', script, 'sh', dataDirOf(of), of.name, ...words];
    const options = { deadlineMs, ...(stdin === undefined ? {} : { stdin }), ...(onlyLooks && { onlyLooks }) };
    const { exit, stdout, stderr } = await shell.run(of.ip, argv, options, signal);
    if (exit === 0) return stdout;
    const code = saysDiskFull(stderr) ? 'ER0270' : 'ER0018';
    throw new FleetError(code, `to ${verb} ${of.name} on ${of.ip} ended with ${exit}: ${excerpt(scrub(stderr))}`, {
      retryable: true,
    });
  };

  return {
    of,
    run,
    administer: (verb, statements) =>
      run(verb, ADMINISTER, [of.settings.binaries.client, socketOf(of)], {
        stdin: [NOT_LOGGED, ...statements].map((statement) => `${statement};\n`).join(''),
        deadlineMs: SQL_MS,
      }),
  };
}
