import { asInstant, type Driver } from 'fleetbeat';
import type { Half, Question } from './world.ts';

/** The world as a process that may die sees it. */
export interface Asking {
  beat(): Promise<number>;
  tell(question: Question): Promise<unknown>;
  /** One half of the world, behind the driver contract. */
  driver<F>(half: Half): Driver<F>;
  /** How many questions have no answer yet. */
  readonly open: number;
}

/** @param touch called whenever something may have happened in the world */
export function asking(touch: () => void): Asking {
  const replies = new Map<number, (answer: unknown) => void>();
  let questions = 0;

  process.on('message', (message: { readonly id?: number; readonly answer?: unknown }) => {
    const reply = message.id === undefined ? undefined : replies.get(message.id);
    if (message.id === undefined || !reply) return;
    replies.delete(message.id);
    touch();
    reply(message.answer);
  });

  function ask<T>(question: Question): Promise<T> {
    const id = ++questions;
    return new Promise((resolve) => {
      replies.set(id, resolve as (answer: unknown) => void);
      process.send?.({ id, question });
      touch();
    });
  }

  return {
    beat: async () => asInstant(await ask({ is: 'beat' })),
    tell: ask,
    driver: (half) => ({
      name: half === 'instances' ? 'simulated' : 'simulated-services',
      everyMs: 2000,
      observe: () => ask({ is: 'observe', half }),
      async perform(calls) {
        const sent = calls.map(({ call, permit: { token, fence, valid } }) => ({ call, token, fence, isValid: valid() }));
        return ask({ is: 'perform', half, calls: sent });
      },
    }),
    get open() {
      return replies.size;
    },
  };
}
