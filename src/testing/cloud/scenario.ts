import assert from 'node:assert/strict';
import type { Call, Driver, PermittedCall } from '../../contracts.ts';
import type { Problem, Reading } from '../../domain/heartbeat.ts';
import { asToken, type Instant, type Ip, parseIp, type Token } from '../../domain/identity.ts';
import type { InstanceFacts, InstanceVerb, Power } from '../../domain/instance.ts';
import { FleetError, isFleetError, messageOf } from '../../errors.ts';

/** What a test can do to a cloud past its driver; each scenario says what it needs. */
export interface CloudHooks {
  /** The cloud applies the next launch, but its answer is lost. */
  loseReply(): void | Promise<void>;
  /** The next launch does not reach the cloud, and nobody says so. */
  loseRequest(): void | Promise<void>;
  /** The next so many requests are over the limit. */
  throttle(times: number): void | Promise<void>;
  /** The next launch finds no capacity. */
  refuseCapacity(): void | Promise<void>;
  /** The provider takes back the instance at an ip. */
  interrupt(ip: string): void | Promise<void>;
  /** Brings about that the cloud has at least so many instances. */
  fill(count: number): void | Promise<void>;
  /** How many instances were ever launched at an ip. */
  launchedAt(ip: string): number | Promise<number>;
}

/** A cloud with the driver that is to be tried on it. */
export interface CloudUnderTest extends Partial<CloudHooks> {
  readonly driver: Driver<InstanceFacts>;
  /** The clock that stands in for the fleet's, in milliseconds. */
  readonly now: () => Instant;
  /** What the cloud is to have at first, by ip. */
  readonly ips: {
    readonly running: string;
    readonly stopped: string;
    /** Where nothing is, though something could be launched. */
    readonly free: string;
    /** Where nothing is, nor ever will be. */
    readonly nowhere: string;
  };
  /** Lets so much time pass. On a real cloud, it waits. */
  readonly advance: (ms: number) => void | Promise<void>;
  /** How long the cloud is given to bring about what it has accepted, in milliseconds. Default 600,000. */
  readonly patienceMs?: number;
  /** How long between two looks, in milliseconds. Default 5000. */
  readonly everyMs?: number;
  readonly close?: () => void | Promise<void>;
}

/** One thing that clouds do to drivers. `open` gives a cloud as it is at first. */
export interface CloudScenario {
  readonly name: string;
  /** Without these hooks, nothing is tried. */
  readonly needs: readonly (keyof CloudHooks)[];
  /** Rejects with an AssertionError that says what was violated. */
  run(open: () => Promise<CloudUnderTest>): Promise<void>;
}

export const scenario = <Needed extends keyof CloudHooks>(
  name: string,
  needs: readonly Needed[],
  body: (cloud: Played & Pick<CloudHooks, Needed>) => Promise<void>,
): CloudScenario => ({
  name,
  needs,
  async run(open) {
    const cloud = await open();
    try {
      if (has(cloud, needs)) await body({ ...played(cloud), ...cloud });
    } finally {
      await cloud.close?.();
    }
  },
});

const has = <Needed extends keyof CloudHooks>(
  cloud: CloudUnderTest,
  needs: readonly Needed[],
): cloud is CloudUnderTest & Pick<CloudHooks, Needed> => needs.every((hook) => cloud[hook] !== undefined);

/** What scenarios are told in. */
export interface Played {
  readonly ips: CloudUnderTest['ips'];
  perform(...calls: readonly PermittedCall[]): Promise<readonly (Problem | null)[]>;
  /** Performs one call, and again as long as the cloud is too busy. */
  accepted(call: PermittedCall): Promise<void>;
  /** The next reading that succeeds and is complete. */
  reading(): Promise<Reading<InstanceFacts>>;
  /** Reads until the instance at an ip is so; `each` sees every complete reading. */
  until(ip: string, power: Power | 'gone', each?: (seen: readonly InstanceFacts[]) => void): Promise<void>;
  /** How many live instances there are at an ip: by the cloud's word where a test has it, else by the driver's. */
  countAt(ip: string): Promise<number>;
}

const never = new AbortController().signal;
const PATIENCE_MS = 600_000;
const EVERY_MS = 5000;

export const on = (verb: InstanceVerb, text: string): Call => ({
  do: { level: 'instances', subject: { ip: addressOf(text) }, verb },
});

function addressOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) throw new FleetError('ER0222', `'${text}' is no address; IPv4 or IPv6 is allowed`);
  return ip;
}

const freshToken = (): Token => asToken(`scenario-${crypto.randomUUID()}`);

export const permitted = (call: Call, token = freshToken()): PermittedCall => ({
  call,
  permit: { token, fence: 1, valid: () => true },
});

/** The same call again, by somebody who knows that it may have been made before. */
export const again = ({ call, permit }: PermittedCall): PermittedCall => ({ call, permit: { ...permit, isRepeated: true } });

export const isLive = ({ power }: InstanceFacts): boolean => power?.state !== 'terminated' && power?.state !== 'shutting-down';

/** Whether a call may have been accepted, for all that its answer says. */
export const isUnknown = (answer: Problem | null | undefined): boolean => answer?.code === 'ER0220' || answer?.code === 'ER0212';

function played(cloud: CloudUnderTest): Played {
  const { driver, now, ips, patienceMs = PATIENCE_MS, everyMs = EVERY_MS } = cloud;

  /** Asks again and again, with time passing, until there is an answer. */
  async function eventually<T>(what: () => string, ask: () => Promise<T | undefined>): Promise<T> {
    for (let waitedMs = 0; ; waitedMs += everyMs) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      assert(waitedMs < patienceMs, `${what()}, within ${patienceMs} ms`);
      await cloud.advance(everyMs);
    }
  }

  const tryRead = async (): Promise<Reading<InstanceFacts> | undefined> => {
    try {
      const reading = await driver.observe({ now: now(), maxAgeMs: 0 }, never);
      return reading.complete ? reading : undefined;
    } catch (error) {
      assert(isFleetError(error) && error.retryable, `a read failed for good: ${messageOf(error)}`);
      return undefined;
    }
  };

  const at = (ip: string, items: readonly InstanceFacts[]) => items.filter((facts) => facts.ip === ip);

  /** A rejection means of each of its calls what a lost answer means. */
  const perform: Played['perform'] = async (...calls) => {
    try {
      return await driver.perform(calls, never);
    } catch (error) {
      return calls.map(() => ({ subject: driver.name, code: 'ER0220', message: messageOf(error) }));
    }
  };

  return {
    ips,
    perform,
    async accepted(call) {
      let told = '';
      let isRepeated = false;
      await eventually(
        () => `${JSON.stringify(call.call)} is accepted: ${told}`,
        async () => {
          const [answer] = await perform(isRepeated ? again(call) : call);
          if (answer === null) return true;
          isRepeated ||= isUnknown(answer);
          told = `${answer?.code} ${answer?.message}`;
          // As in a fleet, what a driver knows is never older than a beat.
          await tryRead();
          return undefined;
        },
      );
    },
    reading: () => eventually(() => 'a complete reading', tryRead),
    until: async (ip, power, each) => {
      await eventually(
        () => `the instance at ${ip} is ${power}`,
        async () => {
          const reading = await tryRead();
          if (!reading) return undefined;
          each?.(at(ip, reading.items));
          const live = at(ip, reading.items).filter(isLive);
          const isSo = power === 'gone' ? live.length === 0 : live.some((facts) => facts.power?.state === power);
          return isSo || undefined;
        },
      );
    },
    async countAt(ip) {
      const listed = async () => at(ip, (await eventually(() => 'a complete reading', tryRead)).items).filter(isLive).length;
      return cloud.launchedAt ? cloud.launchedAt(ip) : listed();
    },
  };
}
