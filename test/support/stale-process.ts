import { readFileSync, writeSync } from 'node:fs';
import type { Shell, ShellResult } from 'fleetbeat';
import { type EffectName, START, type StaleFleetOptions, staleFleet } from './stale-fleet.ts';

/** What its argument is the file of. */
export interface StaleProcessOptions extends StaleFleetOptions {
  /** Where it stops itself, once: right before it sends an effect, or right after it has the answer. */
  readonly stop?: { readonly when: 'before' | 'after'; readonly effect: EffectName };
}

/** What it tells, one JSON a line. */
export type Told =
  | { readonly dispatched: readonly string[] }
  /** How the effect that it stopped before ended after all. */
  | ShellResult
  /** After it was continued, and has beaten on for a while. */
  | { readonly role: string };

const { stop, ...options }: StaleProcessOptions = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const tell = (told: Told) => writeSync(1, `${JSON.stringify(told)}\n`);

/** The kernel stops all of the process inside of this call: what follows it is done when it is continued. */
const freeze = () => process.kill(process.pid, 'SIGSTOP');

let hasStopped = false;
const stopping = (shell: Shell): Shell => ({
  ...shell,
  async run(ip, argv, rest, signal) {
    if (hasStopped || !stop || !argv.includes(stop.effect)) return shell.run(ip, argv, rest, signal);
    hasStopped = true;
    if (stop.when === 'before') freeze();
    const result = await shell.run(ip, argv, rest, signal);
    if (stop.when === 'after') freeze();
    else tell(result);
    return result;
  },
});

const { fleet } = staleFleet(options, stopping);
process.on('SIGCONT', async () => {
  for (let i = 0; i < 5; i++) await fleet.beat();
  tell({ role: fleet.role });
});
await fleet.beat();
const { started, deferred } = await fleet.dispatch(START);
tell({ dispatched: [...started, ...deferred].map(({ id }) => id) });
fleet.start(50);
