import picocolors from 'picocolors';
import type { Output } from '../terminal.ts';

export type Paint = ReturnType<typeof picocolors.createColors>;

/** How text is shown on one output. */
export interface Look {
  readonly paint: Paint;
  /** Columns of the terminal; without bounds where there is none. */
  readonly columns: number;
}

/** Colours are for terminals that want them: not for pipes, not with NO_COLOR. */
export function lookOf(output: Output, env: NodeJS.ProcessEnv): Look {
  const isColoured = output.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  return {
    paint: picocolors.createColors(isColoured),
    columns: output.isTTY === true ? (output.columns ?? 80) : Number.POSITIVE_INFINITY,
  };
}

export const NO_PAINT: Paint = picocolors.createColors(false);

const GOOD = new Set(['running', 'ssh-up', 'bootstrapped', 'managed', 'up', 'replicating', 'routed', 'done', 'leader']);
const MOVING = new Set(['pending', 'starting', 'stopping', 'shutting-down', 'claiming', 'dispatching', 'installing', 'removing']);
const QUIET = new Set(['stopped', 'terminated', 'absent', 'uninstalled', 'unknown', 'waiting', 'cancelled', 'expired']);

/** The colour of a state, a status or a word of a ladder. Whatever is no known word is trouble. */
export function tinted(word: string, paint: Paint): string {
  if (GOOD.has(word)) return paint.green(word);
  if (MOVING.has(word)) return paint.yellow(word);
  return QUIET.has(word) ? paint.dim(word) : paint.red(word);
}
