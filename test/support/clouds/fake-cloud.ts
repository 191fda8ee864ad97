import type { CloudDriver, CloudOptions } from 'fleetbeat/adapters/libcloud';
import type { ApiServer } from './api-server.ts';

/** An instance in a provider's words. */
export interface FakeMachine {
  readonly id: string;
  ip: string | null;
  /** The provider's word. What is no text stands for an API that is broken. */
  state: unknown;
  tag?: string;
}

/** What every test needs to say in each provider's words. */
export interface FakeWords {
  readonly running: string;
  readonly stopped: string;
}

/** A small API with a memory, and drivers for it. */
export interface FakeCloud {
  readonly name: string;
  readonly words: FakeWords;
  readonly api: ApiServer;
  readonly machines: FakeMachine[];
  /** What has taken effect: `start <id>`, `launch <ip>`. */
  readonly effects: string[];
  add(machine: Partial<FakeMachine>): FakeMachine;
  /** Quick retries, a loopback address that is listed, and what is to be launched. */
  driver(options?: Partial<Omit<CloudOptions, 'launch'>> & Readonly<Record<string, unknown>>): CloudDriver;
  close(): Promise<void>;
}

/** A text that must show nowhere: the password or the token of every fake. */
export const CANARY = 'canary-7f3a9c51';

/** What makes tests quick. */
export const QUICK = { retryMs: 1, lookMs: 60, lookEveryMs: 5 } as const;

/** Powers a machine, and writes it down. */
export function power(cloud: Pick<FakeCloud, 'effects'>, machine: FakeMachine, verb: string, state: string): void {
  machine.state = state;
  cloud.effects.push(`${verb} ${machine.id}`);
}
