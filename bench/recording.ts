import { isDeepStrictEqual } from 'node:util';
import type { Store } from 'fleetbeat';

type Operation = Exclude<keyof Store, 'close'>;

/** One operation as it was asked for, how many of all operations had ended by then, and what it was answered. */
interface Asked {
  readonly operation: Operation;
  readonly args: readonly unknown[];
  readonly after: number;
  answer?: unknown;
}

/** What was asked of a store, to be asked of another one that is as it was. */
export interface Recording {
  readonly operations: readonly Asked[];
  /** The bytes of all keys and values that were handed to the store. */
  readonly bytes: number;
}

/** A store that writes down what is asked of it. */
export interface RecordingStore {
  readonly store: Store;
  /** @returns what was asked since the last call */
  take(): Recording;
  /** How many operations have not ended. */
  readonly underWay: number;
}

export function recordingStore(recorded: Store): RecordingStore {
  let operations: Asked[] = [];
  let ended = 0;
  let underWay = 0;

  const through =
    <A extends readonly unknown[], T>(operation: Operation, run: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      const asked: Asked = { operation, args, after: ended };
      operations.push(asked);
      underWay++;
      try {
        const answer = await run(...args);
        asked.answer = answer;
        return answer;
      } finally {
        underWay--;
        ended++;
      }
    };

  return {
    store: {
      get: through('get', recorded.get),
      set: through('set', recorded.set),
      add: through('add', recorded.add),
      swap: through('swap', recorded.swap),
      delete: through('delete', recorded.delete),
      increment: through('increment', recorded.increment),
      close: async () => recorded.close?.(),
    },
    take() {
      const taken = operations;
      operations = [];
      ended = 0;
      return { operations: taken, bytes: bytesOf(taken) };
    },
    get underWay() {
      return underWay;
    },
  };
}

/** Asks the same, in the same order, and as much of it at once as was asked at once. @returns the answers */
export function replay({ operations }: Recording, store: Store): Promise<readonly unknown[]> {
  const answers = new Array<unknown>(operations.length);
  return new Promise((resolve, reject) => {
    let next = 0;
    let ended = 0;
    const go = () => {
      for (let asked = operations[next]; asked && asked.after <= ended; asked = operations[next]) {
        const i = next++;
        ask(store, asked).then((answer) => {
          answers[i] = answer;
          ended++;
          go();
        }, reject);
      }
      if (ended === operations.length) resolve(answers);
    };
    go();
  });
}

const ask = (store: Store, { operation, args }: Asked): Promise<unknown> =>
  (store[operation] as (...args: readonly unknown[]) => Promise<unknown>)(...args);

/** Throws unless these are the answers that were recorded: a store that fails is quick. */
export function checkAnswers({ operations }: Recording, answers: readonly unknown[]): void {
  for (const [i, { operation, args, answer }] of operations.entries()) {
    if (!isDeepStrictEqual(answers[i], answer)) {
      throw new Error(
        `${operation} of ${args[0]} was answered ${JSON.stringify(answers[i])}, and ${JSON.stringify(answer)} before`,
      );
    }
  }
}

function bytesOf(operations: readonly Asked[]): number {
  let bytes = 0;
  for (const { args } of operations) for (const arg of args) if (typeof arg === 'string') bytes += Buffer.byteLength(arg);
  return bytes;
}
