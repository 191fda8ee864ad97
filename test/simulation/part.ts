import { on } from 'node:events';
import { reportOf, simulate } from './simulate.ts';

/** A process of the simulation: it plays what it is asked for, part after part, and says of each whether every invariant was kept. */
for await (const [part] of on(process, 'message', { close: ['disconnect'] })) {
  const failure = await simulate(part as { readonly runs: number; readonly seed: number });
  // Whoever hears of a failure ends this process: what it has to tell has to be out by then.
  if (failure) await new Promise<void>((told) => void process.stdout.write(`${reportOf(failure)}\n`, () => told()));
  process.send?.(failure === null);
}
