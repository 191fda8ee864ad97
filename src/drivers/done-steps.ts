import type { Permit, ServiceStep } from '../contracts.ts';
import type { Token } from '../domain/identity.ts';

/** Which steps have been done under which token. */
export interface DoneSteps {
  /**
   * Whether a step is not to be done again. Under one token a rung that was lost may be climbed again, since its step does
   * nothing where it holds; but a restart never twice, and nothing once another token has acted on the service: a late
   * duplicate of a start must not undo the stop that came after it.
   */
  includes(service: string, step: ServiceStep, permit: Permit): boolean;
  add(service: string, step: ServiceStep, permit: Permit): void;
}

const REMEMBERED = 10_000;

export function doneSteps(): DoneSteps {
  const done = new Set<string>();
  const lastToken = new Map<string, Token>();
  const keyOf = (service: string, step: ServiceStep, { token }: Permit) => `${token} ${step} ${service}`;
  return {
    includes: (service, step, permit) =>
      done.has(keyOf(service, step, permit)) && (step === 'restart' || lastToken.get(service) !== permit.token),
    add(service, step, permit) {
      lastToken.set(service, permit.token);
      done.add(keyOf(service, step, permit));
      for (const oldest of done) {
        if (done.size <= REMEMBERED) break;
        done.delete(oldest);
      }
    },
  };
}
