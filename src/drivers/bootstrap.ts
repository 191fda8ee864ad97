import type { Permit, Shell } from '../contracts.ts';
import { excerpt } from '../domain/excerpt.ts';
import type { Ip } from '../domain/identity.ts';
import { INSTANCE_RUNGS, type InstanceFacts, type InstanceRung } from '../domain/instance.ts';
import { FleetError } from '../errors.ts';
import { agentRung, type BootstrapUnit } from './bootstrap/agent.ts';
import { BEATING } from './bootstrap/agent-scripts.ts';
import { artefactRung, type BootstrapArtefact } from './bootstrap/artefact.ts';
import { type BootstrapRung, commandRung } from './bootstrap/command.ts';
import type { Rung } from './bootstrap/host.ts';

export type { BootstrapUnit, Unit } from './bootstrap/agent.ts';
export type { ArchiveSource } from './bootstrap/archive.ts';
export type { Artefact, BootstrapArtefact } from './bootstrap/artefact.ts';
export type { BootstrapRung } from './bootstrap/command.ts';

/** A rung without an entry holds wherever ssh answers. */
export interface BootstrapOptions {
  /** Rung `bootstrapped`: an archive in its version, or whatever a command of yours does. */
  readonly binaries?: BootstrapArtefact | BootstrapRung;
  /** Rung `managed`: an agent that runs, or whatever a command of yours does. `none`, the default, where there is to be none. */
  readonly agent?: BootstrapUnit | BootstrapRung | 'none';
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
  const binaries = binariesOf(options.binaries);
  const agent = agentOf(options.agent, binaries);
  const rungs: readonly (readonly [InstanceRung, Rung | undefined])[] = [
    ['bootstrapped', binaries],
    ['managed', agent],
  ];
  const marks = [binaries, agent].filter((rung) => rung !== undefined);
  const words = marks.flatMap(({ mark }) => mark);

  return {
    async read(ip, shell, deadlineMs, signal) {
      const argv = ['sh', '-c', LOOK, 'sh', ...words];
      const { exit, stdout, stderr } = await shell.run(ip, argv, { deadlineMs, onlyLooks: true }, signal);
      const [bootId, ...versions] = stdout.split('\n').map((line) => line.trim());
      if (exit !== 0 || versions.length <= marks.length) {
        throw new FleetError('ER0018', `${ip}: looking for its markers ended with ${exit}: ${excerpt(stderr)}`, {
          retryable: true,
        });
      }
      const holds = (rung: Rung) => versions[marks.indexOf(rung)] === rung.version;
      return {
        ...(bootId && { bootId }),
        binaries: !binaries ? 'none' : holds(binaries) ? binaries.version : null,
        agent: !agent || holds(agent),
      };
    },

    async climb(ip, upTo, shell, permit, signal) {
      for (const [name, rung] of rungs) {
        if (!rung || height(name) > height(upTo)) continue;
        await rung.climb({ ip, shell, permit, signal });
      }
    },
  };
}

/**
 * Words: for each rung, how it is looked at, and where. Writes the id of this boot, then a line for each rung: what its file begins
 * with, what its agent beats as, or nothing. All by sh itself and in one piece, since this is what every host is asked in every beat.
 */
const LOOK = `${BEATING}
seen=
say() {
  seen="$seen$1
"
}
first_line() {
  line=
  [ ! -r "$1" ] || IFS= read -r line <"$1"
}
first_line /proc/sys/kernel/random/boot_id
say "$line"
while [ $# -gt 0 ]; do
  case $2 in '~/'*) path=$HOME/\${2#'~/'} ;; *) path=$2 ;; esac
  case $1 in
    beat) look_at_beat "$path"; say "$beats" ;;
    *) first_line "$path"; say "$line" ;;
  esac
  shift 2
done
printf %s "$seen"
`;

const height = (rung: InstanceRung): number => INSTANCE_RUNGS.indexOf(rung);

function binariesOf(given: BootstrapOptions['binaries']): Rung | undefined {
  if (!given) return undefined;
  return 'artefact' in given ? artefactRung('binaries', given) : commandRung('binaries', given);
}

function agentOf(given: BootstrapOptions['agent'], binaries: Rung | undefined): Rung | undefined {
  if (!given || given === 'none') return undefined;
  return 'unit' in given ? agentRung('agent', given, binaries?.version ?? '') : commandRung('agent', given);
}
