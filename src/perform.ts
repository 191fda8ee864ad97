import type { PerformInput, PerformOutput } from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import type { Call, Driver, Permit } from './contracts.ts';
import { type Code, isRetryable, knownCode } from './domain/codes.ts';
import { doText } from './domain/command.ts';
import type { Problem } from './domain/heartbeat.ts';
import type { Instant } from './domain/identity.ts';
import { FleetError, isFleetError, messageOf } from './errors.ts';
import type { Gate } from './gate.ts';

type AnyDriver = Pick<Driver<unknown>, 'name' | 'perform'>;

interface Pending {
  readonly call: Call;
  readonly permit: Permit;
  readonly answered: (problem: Problem | null) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The effect behind every verb: through the gate, to the driver. The calls of one turn to one cloud go in one batch, but for those
 * that are repeated: to look for what they have made may take a while.
 */
export function createPerform(fleet: {
  readonly gate: Gate;
  readonly now: () => Instant;
  readonly driverOf: (input: PerformInput) => AnyDriver | undefined;
  readonly callMs: number;
  readonly yieldTurn: () => Promise<void>;
  /** A driver has accepted a call. */
  readonly onAccepted: () => void;
}): EffectFunction<PerformInput, PerformOutput> {
  const batches = new Map<AnyDriver, Pending[]>();

  const ask = (driver: AnyDriver, call: Call, permit: Permit): Promise<Problem | null> =>
    new Promise((answered, failed) => {
      const pending: Pending = { call, permit, answered, failed };
      if (!isShort(call) || permit.isRepeated) {
        void flush(driver, [pending]);
        return;
      }
      const batch = batches.get(driver);
      if (batch) {
        batch.push(pending);
        return;
      }
      batches.set(driver, [pending]);
      void fleet.yieldTurn().then(() => {
        const due = batches.get(driver) ?? [];
        batches.delete(driver);
        return flush(driver, due);
      });
    });

  /** A turn may have passed since the permits were given: what was ended meanwhile is not sent. */
  async function flush(driver: AnyDriver, asked: readonly Pending[]): Promise<void> {
    const batch: Pending[] = [];
    for (const pending of asked)
      if (pending.permit.valid()) batch.push(pending);
      else pending.answered({ subject: driver.name, code: 'ER0217', message: 'its permit has ended' });
    if (batch.length === 0) return;
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new FleetError('ER0212', `${driver.name} did not answer in ${fleet.callMs} ms`, { retryable: true })),
      fleet.callMs,
    );
    try {
      const answers = await driver.perform(
        batch.map(({ call, permit }) => ({ call, permit })),
        deadline.signal,
      );
      for (const [i, pending] of batch.entries()) pending.answered(answers[i] ?? null);
    } catch (error) {
      for (const pending of batch) pending.failed(error);
    } finally {
      clearTimeout(timer);
    }
  }

  return async ({ input, stop }) => {
    const driver = fleet.driverOf(input);
    if (!driver) throw new FleetError('ER0229', `no driver performs ${doText(input.do)}`);
    const permit = await fleet.gate.pass(input, stop);
    const call: Call = { do: input.do, ...(input.step === undefined ? {} : { step: input.step }) };
    const problem = await ask(driver, call, permit).catch((error: unknown) => {
      throw unknownOutcome(driver.name, error);
    });
    if (!problem) {
      fleet.onAccepted();
      return { acceptedAt: fleet.now() };
    }
    // What is said of a call that was perhaps made before says nothing of that one.
    if (!isUnknown(problem.code) && !permit.isRepeated) await fleet.gate.unbegin(input.by, permit);
    throw new FleetError(knownCode(problem.code, 'ER0221'), `${driver.name}: ${problem.message}`, {
      retryable: isRetryable(problem.code),
    });
  };
}

/** Calls that a cloud merely accepts, and so may share a request; what runs over a shell may take minutes. */
const isShort = (call: Call): boolean => call.do.level === 'instances' && call.do.verb !== 'bootstrap';

/** Whether a call that ended so may have been accepted all the same. */
const isUnknown = (code: Code): boolean => code === 'ER0212' || code === 'ER0220';

const unknownOutcome = (driver: string, error: unknown): FleetError =>
  isFleetError(error) && error.code !== 'ER0212'
    ? error
    : new FleetError('ER0220', `${driver}: ${messageOf(error)}`, { retryable: true, cause: error });
