import { performance } from 'node:perf_hooks';
import { EC2Client } from '@aws-sdk/client-ec2';
import type { Fleet, Instant } from 'fleetbeat';
import type { CloudEndpoint, SimulatedCloud } from 'fleetbeat/testing';
import { type Figure, figure } from './figure.ts';
import type { Library } from './library.ts';
import { pollEach } from './peers/naive-poll.ts';
import { waitForEach } from './peers/sdk-waiters.ts';
import type { Selection } from './selection.ts';

export interface BillScale {
  /** Instances that are brought from stopped to running. */
  readonly instances: number;
  readonly beatMs: number;
  /** How much quicker than EC2 the cloud is. */
  readonly scale: number;
  readonly idleHours: number;
}

/** What one way of starting everything came to. */
interface Outcome {
  readonly describes: number;
  readonly starts: number;
  readonly throttles: number;
  readonly seconds: number;
}

/**
 * P3: what a provider is asked, and how long it takes, until all of an account's instances run. All sides run at once, each
 * against a simulated EC2 of its own with the same seed and EC2's token buckets, over HTTP, in real time.
 */
export async function* bill(
  library: Library,
  selection: Selection,
  scale: BillScale = { instances: 200, beatMs: 1000, scale: 1, idleHours: 24 },
): AsyncGenerator<Figure> {
  if (['describes', 'starts', 'throttles', 'time', 'naive'].some((part) => selection.covers(`P3.${part}`)))
    yield* starting(library, scale);
  if (selection.covers('P3.idle')) yield await idle(library, scale);
}

async function* starting(library: Library, scale: BillScale): AsyncGenerator<Figure> {
  const [ours, waiters, naive] = await Promise.all([
    withCloud(library, scale, (endpoint, cloud) => withFleet(library, endpoint, cloud, scale)),
    withCloud(library, scale, (endpoint, cloud) => withClient(endpoint, cloud, waitForEach)),
    withCloud(library, scale, (endpoint, cloud) => withClient(endpoint, cloud, pollEach)),
  ]);
  const all = `${scale.instances} instances from stopped to running`;
  const of = (
    id: string,
    what: string,
    get: (outcome: Outcome) => number,
    unit: Figure['unit'],
    goal?: Parameters<typeof figure>[0]['goal'],
  ) =>
    figure({
      id,
      name: `${all}: ${what}; a waiter of the SDK for each`,
      ours: get(ours),
      peer: get(waiters),
      unit,
      ...(goal && { goal }),
    });
  yield of('P3.describes', 'reads', ({ describes }) => describes, 'calls', { ratio: 1 / 20 });
  yield of('P3.starts', 'requests to start', ({ starts }) => starts, 'calls');
  yield of('P3.throttles', 'requests that were throttled', ({ throttles }) => throttles, 'calls', { ours: 0 });
  yield of('P3.time', 'until the last is seen to run', ({ seconds }) => seconds, 's', { ratio: 1 });
  const { describes, starts, throttles, seconds } = naive;
  yield figure({
    id: 'P3.naive',
    name: `reads of ours; of a poll per instance every 5 s, which took ${seconds.toFixed(0)} s, ${starts} starts, ${throttles} throttles`,
    ours: ours.describes,
    peer: describes,
    unit: 'calls',
  });
}

const REGION = 'us-east-1';
const KEY = 'bench';

function createCloud({ simulatedCloud }: Library, { instances, scale }: BillScale, now?: () => Instant): SimulatedCloud {
  return simulatedCloud({
    seed: 3,
    ...(now && { now, sleep: async () => {} }),
    latency: { scale: 1 / scale },
    instances: Array.from({ length: instances }, (_, i) => ({
      id: idOf(i),
      ip: `10.3.${i >> 8}.${i & 255}`,
      state: 'stopped' as const,
    })),
  });
}

const idOf = (i: number): string => `i-0${i.toString(16).padStart(16, '0')}`;

async function withCloud(
  library: Library,
  scale: BillScale,
  run: (endpoint: CloudEndpoint, cloud: SimulatedCloud) => Promise<number>,
): Promise<Outcome> {
  const cloud = createCloud(library, scale);
  await using endpoint = await cloud.listen();
  const seconds = await run(endpoint, cloud);
  const calls = cloud.calls();
  const sum = (counts: Readonly<Record<string, number>> = {}) => Object.values(counts).reduce((total, count) => total + count, 0);
  return {
    describes: sum(calls.DescribeInstances),
    starts: sum(calls.StartInstances),
    throttles: Object.values(calls).reduce((total, counts) => total + (counts.RequestLimitExceeded ?? 0), 0),
    seconds,
  };
}

const driverOf = ({ ec2, secret }: Library, { url }: CloudEndpoint, clock?: () => number) =>
  ec2({
    region: REGION,
    endpoint: url,
    allow: [new URL(url).host],
    credentials: { accessKeyId: KEY, secretAccessKey: secret(KEY) },
    ...(clock && { clock: { now: clock, sleep: async () => {} } }),
  });

/** Until the provider has said of every instance that it runs; ssh is what nobody else here waits for. */
async function withFleet(
  library: Library,
  endpoint: CloudEndpoint,
  cloud: SimulatedCloud,
  { instances, beatMs }: BillScale,
): Promise<number> {
  const { cached, createFleet, memory, probed } = library;
  const store = memory();
  const driver = probed(cached(driverOf(library, endpoint), store), cloud.shell());
  const fleet: Fleet = createFleet({ drivers: { instances: [driver] }, store });
  await fleet.beat();
  const from = performance.now();
  await fleet.dispatch({ level: 'instances', action: 'start', group: 'all' });
  const isRunning = () => fleet.views().filter(({ raw }) => raw === 'running').length === instances;
  while (!isRunning()) {
    const begun = performance.now();
    await fleet.beat();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, beatMs - (performance.now() - begun))));
  }
  const seconds = (performance.now() - from) / 1000;
  await fleet.stop();
  return seconds;
}

async function withClient(
  { url }: CloudEndpoint,
  cloud: SimulatedCloud,
  run: (client: EC2Client, ids: readonly string[], onRunning: () => void) => Promise<void>,
): Promise<number> {
  const client = new EC2Client({
    endpoint: url,
    region: REGION,
    credentials: { accessKeyId: KEY, secretAccessKey: KEY },
  });
  const from = performance.now();
  let last = from;
  await run(
    client,
    cloud.instances().map(({ id }) => id),
    () => {
      last = performance.now();
    },
  );
  client.destroy();
  return (last - from) / 1000;
}

/** A day of an account for which nobody waits, on the fleet's clock. */
async function idle(library: Library, scale: BillScale): Promise<Figure> {
  const { cached, createFleet, memory } = library;
  let now = Date.now();
  const clock = () => now as Instant;
  const cloud = createCloud(library, scale, clock);
  await using endpoint = await cloud.listen();
  const store = memory({ now: clock });
  const fleet = createFleet({ drivers: { instances: [cached(driverOf(library, endpoint, clock), store)] }, store, now: clock });
  for (const end = now + scale.idleHours * HOUR_MS; now < end; now += IDLE_BEAT_MS) await fleet.beat();
  await fleet.stop();
  const reads = Object.values(cloud.calls().DescribeInstances ?? {}).reduce((total, count) => total + count, 0);
  return figure({
    id: 'P3.idle',
    name: `reads of an account of ${scale.instances} on a day on which nobody waits, a beat every ${IDLE_BEAT_MS / 1000} s`,
    ours: (reads * 24) / scale.idleHours,
    unit: 'calls',
    goal: { ours: 300 },
  });
}

const HOUR_MS = 3_600_000;
const IDLE_BEAT_MS = 10_000;
