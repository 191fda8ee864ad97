import type { Ip, Shell } from 'fleetbeat';

/** What was asked of one host that may change it: a look is not counted. */
export interface Asked {
  readonly runs: number;
  readonly puts: number;
}

export interface CountingShell extends Shell {
  asked(ip: string): Asked;
  forget(): void;
}

/** A shell that counts, host by host, what is run there by `sh -c` behind a fence, and what is put there. */
export function countingShell(shell: Shell): CountingShell {
  const counts = new Map<string, Asked>();
  const asked = (ip: string): Asked => counts.get(ip) ?? { runs: 0, puts: 0 };
  const count = (ip: Ip, more: Partial<Asked>) => {
    const { runs, puts } = asked(ip);
    counts.set(ip, { runs: runs + (more.runs ?? 0), puts: puts + (more.puts ?? 0) });
  };
  return {
    ...shell,
    asked,
    forget: () => counts.clear(),
    run(ip, argv, options, signal) {
      if (argv.some((word) => word.includes('flock'))) count(ip, { runs: 1 });
      return shell.run(ip, argv, options, signal);
    },
    put(ip, path, bytes, mode, signal) {
      count(ip, { puts: 1 });
      return shell.put(ip, path, bytes, mode, signal);
    },
  };
}
