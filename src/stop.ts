/**
 * Whether anybody still waits for what is being done. It says what an AbortSignal says, which drivers are given: to make one of those
 * for each effect, and to listen to it, takes longer than most effects of the engine themselves.
 */
export interface Stop {
  readonly isStopped: boolean;
  /** What is thrown to whoever goes on regardless. */
  readonly reason: unknown;
}

interface Kept {
  isStopped: boolean;
  reason: unknown;
  listeners: readonly (() => void)[];
}

export const createStop = (): Stop => ({ isStopped: false, reason: undefined, listeners: NOBODY }) satisfies Kept as Stop;

const NOBODY = [] as const;

/** Tells all who listen, once. */
export function halt(it: Stop, reason?: unknown): void {
  const kept = it as Kept;
  if (kept.isStopped) return;
  kept.isStopped = true;
  kept.reason = reason ?? new DOMException('This operation was aborted', 'AbortError');
  const { listeners } = kept;
  kept.listeners = NOBODY;
  for (const listener of listeners) listener();
}

/** @returns a function that ends this */
export function onStop(it: Stop, listener: () => void): () => void {
  const kept = it as Kept;
  kept.listeners = [...kept.listeners, listener];
  return () => {
    kept.listeners = kept.listeners.filter((other) => other !== listener);
  };
}

/** @throws the reason, where it has stopped */
export function throwIfStopped(it: Stop): void {
  if (it.isStopped) throw it.reason;
}

/** One that stops with a signal. */
export function stopOf(signal: AbortSignal): Stop {
  const made = createStop();
  const end = () => halt(made, signal.reason);
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return made;
}

/** A signal for those who know no other word. */
export function signalOf(it: Stop): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(it.reason);
  if (it.isStopped) end();
  else onStop(it, end);
  return controller.signal;
}
