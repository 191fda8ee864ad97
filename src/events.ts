/** Listeners by event type. A listener that throws is the host's bug: it surfaces as an uncaught exception, after the others ran. */
export interface Events<TMap> {
  on<K extends keyof TMap>(type: K, listener: (event: TMap[K]) => void): { unsubscribe(): void };
  emit<K extends keyof TMap>(type: K, event: TMap[K]): void;
}

export function createEvents<TMap>(): Events<TMap> {
  const listeners = new Map<keyof TMap, Set<(event: never) => void>>();
  return {
    on(type, listener) {
      let those = listeners.get(type);
      if (!those) {
        those = new Set();
        listeners.set(type, those);
      }
      those.add(listener);
      return { unsubscribe: () => void those.delete(listener) };
    },
    emit(type, event) {
      for (const listener of listeners.get(type) ?? []) {
        try {
          (listener as (given: typeof event) => void)(event);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}

/** The next event that `fits`. Rejects with the signal's reason where it is aborted first. */
export function once<TMap, K extends keyof TMap>(
  events: Events<TMap>,
  type: K,
  fits: (event: TMap[K]) => boolean,
  signal?: AbortSignal,
): Promise<TMap[K]> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const end = () => {
      subscription.unsubscribe();
      signal?.removeEventListener('abort', abort);
    };
    const abort = () => {
      end();
      reject(signal?.reason);
    };
    const subscription = events.on(type, (event) => {
      if (!fits(event)) return;
      end();
      resolve(event);
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
}
