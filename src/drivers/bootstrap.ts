import { posix } from 'node:path';
import type { Permit, Shell } from '../contracts.ts';
import { excerpt } from '../domain/excerpt.ts';
import type { Ip } from '../domain/identity.ts';
import { INSTANCE_RUNGS, type InstanceFacts, type InstanceRung } from '../domain/instance.ts';
import { FleetError } from '../errors.ts';

/** How one rung of an instance is brought about, and how it is known to hold. */
export interface BootstrapRung {
  /** Run on the host by its user; it may be run again after it has failed half-way. */
  readonly argv: readonly string[];
  /** The absolute path of a file on the host: the rung holds while its first line is `version`. It is written once argv has ended with 0. */
  readonly marker: string;
  /** Another version makes hosts climb again. Default `1`. */
  readonly version?: string;
  /** How long argv may take. Default 600000. */
  readonly deadlineMs?: number;
}

/** A rung without an entry holds wherever ssh answers. */
export interface BootstrapOptions {
  /** Rung `bootstrapped`. */
  readonly binaries?: BootstrapRung;
  /** Rung `managed`. */
  readonly agent?: BootstrapRung;
}

export interface Bootstrap {
  /** In one round trip, what the host knows of itself and its rungs. */
  read(ip: Ip, shell: Shell, deadlineMs: number, signal: AbortSignal): Promise<HostFacts>;
  /** Brings about, lowest first, what does not hold yet up to a rung. Idempotent: what holds is not run again. */
  climb(ip: Ip, upTo: InstanceRung, shell: Shell, permit: Permit, signal: AbortSignal): Promise<void>;
}

export type HostFacts = Pick<InstanceFacts, 'bootId' | 'binaries' | 'agent'>;

/** @throws FleetError ER0230 for a rung that could not be brought about or known */
export function bootstrap(options: BootstrapOptions): Bootstrap {
  const binaries = readRung('binaries', 'bootstrapped', options.binaries);
  const agent = readRung('agent', 'managed', options.agent);
  const rungs = [binaries, agent].filter((rung) => rung !== undefined);

  const look = async (ip: Ip, shell: Shell, deadlineMs: number, signal: AbortSignal) => {
    const argv = ['sh', '-c', LOOK, 'sh', ...rungs.map(({ marker }) => marker)];
    const { exit, stdout, stderr } = await shell.run(ip, argv, { deadlineMs }, signal);
    const [bootId, ...versions] = stdout.split('\n').map((line) => line.trim());
    if (exit !== 0 || versions.length <= rungs.length) {
      throw new FleetError('ER0018', `${ip}: looking for its markers ended with ${exit}: ${excerpt(stderr)}`, {
        retryable: true,
      });
    }
    return { bootId, holds: (rung: Rung) => versions[rungs.indexOf(rung)] === rung.version };
  };

  return {
    async read(ip, shell, deadlineMs, signal) {
      const { bootId, holds } = await look(ip, shell, deadlineMs, signal);
      return {
        ...(bootId && { bootId }),
        binaries: !binaries ? 'none' : holds(binaries) ? binaries.version : null,
        agent: !agent || holds(agent),
      };
    },

    async climb(ip, upTo, shell, permit, signal) {
      for (const { name, rung, marker, version, argv, deadlineMs } of rungs) {
        if (height(rung) > height(upTo)) continue;
        if (!permit.valid()) throw new FleetError('ER0217', `${ip}: the permit ended before the bootstrap of its ${name}`);
        const words = ['sh', '-c', CLIMB, 'sh', marker, version, ...argv];
        const { exit, stdout, stderr } = await shell.run(ip, words, { deadlineMs }, signal);
        if (exit !== 0)
          throw new FleetError('ER0018', `${ip}: the bootstrap of its ${name} ended with ${exit}: ${excerpt(stderr || stdout)}`);
      }
    },
  };
}

/** Writes the id of this boot, then the first line of each marker; an empty line for what is not there. */
const LOOK = `
first_line() { [ -r "$1" ] && head -n 1 "$1" | tr -d '\\n'; echo; }
first_line /proc/sys/kernel/random/boot_id
for marker do first_line "$marker"; done
`;

/**
 * Runs the argv behind the marker and its version, and writes the marker, unless it is there. One command for all three, so that
 * a leader that had to wait for another's bootstrap does not repeat it, nor find it done and unmarked.
 */
const CLIMB = `
marker=$1 version=$2
shift 2
[ "$(head -n 1 "$marker" 2>/dev/null)" != "$version" ] || exit 0
"$@" || exit
mkdir -p "$(dirname "$marker")" && echo "$version" >"$marker.part" && chmod 644 "$marker.part" && mv -f "$marker.part" "$marker"
`;

interface Rung extends Required<BootstrapRung> {
  readonly name: keyof BootstrapOptions;
  readonly rung: InstanceRung;
}

const height = (rung: InstanceRung): number => INSTANCE_RUNGS.indexOf(rung);

const VERSION = /^[!-~]{1,100}$/;

function readRung(name: keyof BootstrapOptions, rung: InstanceRung, given: BootstrapRung | undefined): Rung | undefined {
  if (!given) return undefined;
  const { argv, marker, version = '1', deadlineMs = 600_000 } = given;
  const refuse = (detail: string) => new FleetError('ER0230', `the bootstrap of the ${name} ${detail}`);
  if (!argv[0]) throw refuse('has no program in its argv');
  if (!posix.isAbsolute(marker) || marker.endsWith('/'))
    throw refuse(`needs the absolute path of a file as its marker, found ${JSON.stringify(marker)}`);
  if (!VERSION.test(version))
    throw refuse(`has a version of 1 to 100 printable characters without blanks, found ${JSON.stringify(version)}`);
  return { name, rung, argv, marker, version, deadlineMs };
}
