import type { Shell } from 'fleetbeat';

/** Where a process dies: before its next call to a host is made, or after it, before the answer. */
export type Death = { readonly at: number; readonly is: 'before' | 'after' };

/** Whether a call to a host is fenced, as those are that change something. */
const isStep = (argv: readonly string[]): boolean => argv.some((word) => word.includes('flock'));

/** A shell of a process that dies with one of its calls that change something: nothing is heard of it, or of any later one. */
export function mortalShell({ at, is }: Death): { readonly death: Promise<void>; readonly shell: (real: Shell) => Shell } {
  const { promise: death, resolve: die } = signalled();
  let calls = 0;
  const shell = (real: Shell): Shell => ({
    ...real,
    async run(...call) {
      if (!isStep(call[1]) || ++calls < at) return real.run(...call);
      if (calls === at && is === 'after') await real.run(...call);
      die();
      return new Promise(() => {});
    },
  });
  return { death, shell };
}

/** A shell whose calls that change something wait from the first on: `reached` is that, `release` lets them go. */
export function waitingShell(): { readonly reached: Promise<void>; release(): void; readonly shell: (real: Shell) => Shell } {
  const gate = signalled();
  const { promise: reached, resolve: reach } = signalled();
  const shell = (real: Shell): Shell => ({
    ...real,
    async run(...call) {
      if (isStep(call[1])) {
        reach();
        await gate.promise;
      }
      return real.run(...call);
    },
  });
  return { reached, release: gate.resolve, shell };
}

function signalled(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
