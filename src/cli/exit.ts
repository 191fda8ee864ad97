/** How the process ends, after sysexits.h where it has a word. */
export const EXIT = {
  done: 0,
  /** Rejected by the fleet, or ended in failure. */
  failed: 1,
  /** The command line, or the configuration, cannot be understood. */
  usage: 64,
  /** Armed; its outcome is still to come. */
  deferred: 75,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const GRAVITY: readonly ExitCode[] = [EXIT.done, EXIT.deferred, EXIT.failed, EXIT.usage];

/** Of several outcomes, the one that the process reports: a failure outweighs what is still to come. */
export const gravest = (codes: readonly ExitCode[]): ExitCode =>
  codes.reduce((worst, code) => (GRAVITY.indexOf(code) > GRAVITY.indexOf(worst) ? code : worst), EXIT.done);
