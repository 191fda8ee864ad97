import { createHash } from 'node:crypto';
import { excerpt } from '../../domain/excerpt.ts';
import { FleetError } from '../../errors.ts';
import { AGENT, START } from './agent-scripts.ts';
import { type Rung, runScript } from './host.ts';

/** A small program on the host that says again and again that it runs there, and may keep another one running. */
export interface Unit {
  /** Its folder on the hosts, absolute or from `~/`, of letters, digits, `.`, `_`, `/`, `+`, `-`. */
  readonly to: string;
  /** What it keeps running, such as a fleetbeat of that host. The agent beats while this runs; what has ended is begun again. */
  readonly argv?: readonly string[];
  /** How often it beats, in whole seconds. The rung is lost three of them after its last beat. Default 5000. */
  readonly everyMs?: number;
}

/** A rung that an agent keeps by running. */
export interface BootstrapUnit {
  readonly unit: Unit;
}

const PLACE = /^(?:~\/|\/)[A-Za-z0-9._+-]+(?:\/[A-Za-z0-9._+-]+)*$/;

/**
 * @param beside what an agent has to be started again after, such as the version of the binaries that it runs
 * @throws FleetError ER0230 for an agent that could not be started
 */
export function agentRung(name: string, { unit: { to, argv = [], everyMs = 5000 } }: BootstrapUnit, beside: string): Rung {
  const refuse = (detail: string) => new FleetError('ER0230', `the unit of the ${name} ${detail}`);
  const every = everyMs / 1000;
  if (!PLACE.test(to) || to.split('/').some((part) => part === '.' || part === '..'))
    throw refuse(`has a folder that is absolute or from ~/, of letters, digits, . _ + -, found ${JSON.stringify(excerpt(to))}`);
  if (!Number.isInteger(every) || every < 1 || every > 3600)
    throw refuse(`beats every 1000 to 3600000 ms, in whole seconds, found ${everyMs}`);
  if (argv.length > 0 && !argv[0]) throw refuse('has no program in its argv');
  if (argv.some((word) => /\p{Cc}/u.test(word))) throw refuse('has an argv without control characters');

  const version = createHash('sha256')
    .update(JSON.stringify([AGENT, to, every, argv, beside]))
    .digest('hex')
    .slice(0, 12);
  return {
    name,
    mark: ['beat', `${to}/beat`],
    version,
    async climb(host) {
      const words = [to, version, String(every), AGENT, ...argv];
      await runScript(host, START, words, { what: `the start of its ${name}`, deadlineMs: 60_000 + 3 * everyMs });
    },
  };
}
