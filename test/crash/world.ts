import { asInstant, asToken, type Call, type EntityKey } from 'fleetbeat';
import { type Effect, simulatedFleet } from 'fleetbeat/testing';
import { INSTANCES, SERVICES } from './history.ts';

/** What a process asks of the world. */
export type Question =
  | { readonly is: 'beat' }
  | { readonly is: 'observe'; readonly half: Half }
  | { readonly is: 'perform'; readonly half: Half; readonly calls: readonly SentCall[] }
  | { readonly is: 'told'; readonly changes: readonly ToldChange[] }
  | { readonly is: 'report'; readonly report: Report };

export type Half = 'instances' | 'services';

interface SentCall {
  readonly call: Call;
  readonly token: string;
  readonly fence: number;
  readonly isValid: boolean;
}

/** A change as the doctor was told of it. */
export interface ToldChange {
  readonly id: string;
  readonly key: EntityKey;
  readonly from: string | null;
  readonly to: string;
}

/** What the process that came to the end of the history has found there. */
export interface Report {
  /** How many there were to die at. */
  readonly moments: number;
  readonly beats: number;
  /** Of the actions that were acknowledged to anybody. */
  readonly ends: readonly ActionEnd[];
  /** Of all that the store still holds. */
  readonly left: readonly Pick<ActionEnd, 'id' | 'status' | 'verb'>[];
  readonly parked: readonly string[];
  readonly views: readonly (readonly [EntityKey, string])[];
}

export interface ActionEnd {
  readonly id: string;
  readonly verb: string;
  readonly status: string;
  readonly code: string | null;
}

/** Machines, services, a doctor and a clock, that outlive every process of a fleet. */
export interface World {
  now(): number;
  answer(question: Question): Promise<unknown>;
  /** Every call that was accepted. */
  readonly effects: readonly Effect[];
  /** What the doctor was told, in order. */
  readonly told: readonly ToldChange[];
  report(): Report | null;
}

const BEAT_MS = 2000;
/** Less than a beat: what was begun in one is seen in the next. */
const STEP_MS = [1500, 1500] as const;
const DELAYS = ['pending', 'ssh-up', 'bootstrapped', 'managed', 'installed', 'up', 'stop'] as const;

export function createWorld(): World {
  let now = 1_000_000;
  const ms = Object.fromEntries(DELAYS.map((delay) => [delay, STEP_MS]));
  const simulated = simulatedFleet({ now: () => asInstant(now), instances: INSTANCES, services: SERVICES, latency: { ms } });
  const { signal } = new AbortController();
  const told: ToldChange[] = [];
  let report: Report | null = null;

  return {
    now: () => now,
    async answer(question) {
      switch (question.is) {
        case 'beat':
          now += BEAT_MS;
          return now;
        case 'observe':
          return simulated[question.half].observe({ now: asInstant(now), maxAgeMs: 0 }, signal);
        case 'perform': {
          const calls = question.calls.map(({ call, token, fence, isValid }) => ({
            call,
            permit: { token: asToken(token), fence, valid: () => isValid },
          }));
          return simulated[question.half].perform(calls, signal);
        }
        case 'told':
          told.push(...question.changes);
          return null;
        case 'report':
          report = question.report;
          return null;
        default:
          return question satisfies never;
      }
    },
    effects: simulated.log,
    told,
    report: () => report,
  };
}
