import type { Doctor, DoctorWire } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { FleetError } from '../../src/errors.ts';
import { runProgram } from './program.ts';

export interface ScriptDoctorOptions {
  readonly name: string;
  /** The program and its arguments; no shell ever sees them. */
  readonly argv: readonly string[];
  /** How batches and answers are written: `doctorWire()` of `fleetbeat/wire`. */
  readonly wire: DoctorWire;
  /** Whether its stdout is an answer, which acts: commands, one a line, or a list of actions. False unless said. */
  readonly answers?: boolean;
  /** How long one run may take. Default 20000. */
  readonly deadlineMs?: number;
  /** How long it has from SIGTERM to SIGKILL. Default 2000. */
  readonly graceMs?: number;
  /** Default: the folder of this process. */
  readonly cwd?: string;
  /** Its environment, beside PATH, HOME, LANG and TZ of this process: no secret of ours reaches it by accident. */
  readonly env?: Readonly<Record<string, string>>;
}

const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'];

/**
 * A doctor that is a program, run for each batch with `{"events":[…]}` on its stdin. Exit 0 says that the batch is dealt with;
 * after any other it is run again for the same batch, later. Past its deadline it is ended with all that it has started.
 *
 * `deliver` rejects with ER0018 (it cannot be started, or fails), ER0212 (past its deadline), ER0217 (ended by its caller), all
 * retryable, and with what `wire.read` refuses.
 *
 * @throws FleetError ER0230 where argv names no program
 * @example
 * ```ts
 * scriptDoctor({ name: 'pager', argv: ['/usr/local/bin/page', '--team', 'db'], wire: doctorWire({ cloud: 'local' }) });
 * ```
 */
export function scriptDoctor(options: ScriptDoctorOptions): Doctor {
  const { name, argv, wire, answers = false, deadlineMs = 20_000, graceMs = 2000, cwd } = options;
  if (!argv[0]) throw new FleetError('ER0230', `the doctor ${name} is a command without a program`);
  const inherited = INHERITED.flatMap((variable) => {
    const value = process.env[variable];
    return value === undefined ? [] : [[variable, value] as const];
  });
  const env = { ...Object.fromEntries(inherited), ...options.env };

  return {
    name,
    async deliver(batch, signal) {
      const stdin = `${wire.write(batch)}\n`;
      const { exit, stdout, stderr } = await runProgram({ argv, stdin, deadlineMs, graceMs, env, cwd }, signal);
      if (exit === 0) return answers ? wire.read(stdout) : undefined;
      throw new FleetError('ER0018', `${excerpt(argv[0] ?? '')} ended with ${exit}: ${excerpt(stderr) || 'it says nothing'}`, {
        retryable: true,
      });
    },
  };
}
