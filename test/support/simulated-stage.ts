import { type SimulatedFleetOptions, simulatedFleet } from 'fleetbeat/testing';
import type { Call, PermittedCall, ServiceStep } from '../../src/contracts.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { asInstant, asToken, type EntityKey, type Ip } from '../../src/domain/identity.ts';
import type { InstanceRung, InstanceVerb } from '../../src/domain/instance.ts';
import type { ServiceVerb } from '../../src/domain/service.ts';

export const onIp = (verb: InstanceVerb, ip: string, upTo?: InstanceRung): Call => ({
  do: { level: 'instances', subject: { ip: ip as Ip }, verb, ...(upTo && { upTo }) },
});

export const onKey = (verb: InstanceVerb, key: string): Call => ({
  do: { level: 'instances', subject: { key: key as EntityKey }, verb },
});

export const onService = (verb: ServiceVerb, name: string, step?: ServiceStep): Call => ({
  do: { level: 'services', name, verb },
  ...(step && { step }),
});

export const permitted = (call: Call, token: string): PermittedCall => ({
  call,
  permit: { token: asToken(token), fence: 1, valid: () => true },
});

/** Every delay is so long, so that a test can count on it. */
const delays = {
  pending: 10,
  'ssh-up': 20,
  stopping: 30,
  'shutting-down': 30,
  terminated: 100,
  bootstrapped: 40,
  managed: 5,
  installed: 10,
  up: 5,
  replicating: 10,
  routed: 5,
  stop: 5,
  remove: 5,
  crash: 50,
  stale: 7,
} as const;

export const FIXED_LATENCY = {
  ms: Object.fromEntries(Object.entries(delays).map(([delay, ms]) => [delay, [ms, ms] as const])),
};

/** A simulated fleet with a clock in the test's hand and its driver's calls in one word. */
export function stage(options: Partial<SimulatedFleetOptions> = {}) {
  let now = 0;
  let tokens = 0;
  const { signal } = new AbortController();
  const fleet = simulatedFleet({
    now: () => asInstant(now),
    instances: [],
    services: [],
    latency: FIXED_LATENCY,
    ...options,
  });
  const want = () => ({ now: asInstant(now), maxAgeMs: 0 });
  const halfOf = (call: Call) => (call.do.level === 'instances' ? fleet.instances : fleet.services);

  const stage = {
    ...fleet,
    now: () => asInstant(now),
    pass(ms: number) {
      now += ms;
    },
    readInstances: () => fleet.instances.observe(want(), signal),
    readServices: () => fleet.services.observe(want(), signal),
    async instance(id: string) {
      return (await stage.readInstances()).items.find((facts) => facts.id === id);
    },
    async service(name: string) {
      return (await stage.readServices()).items.find((facts) => facts.name === name);
    },
    async power(id: string) {
      return (await stage.instance(id))?.power?.state;
    },
    /** Performs one call; under a token of its own unless one is given. */
    async call(call: Call, token = `token-${++tokens}`): Promise<Problem | null> {
      const [answer] = await halfOf(call).perform([permitted(call, token)], signal);
      return answer ?? null;
    },
  };
  return stage;
}
