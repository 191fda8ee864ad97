import { EC2Client } from '@aws-sdk/client-ec2';
import { type SimulatedCloud, type SimulatedCloudOptions, simulatedCloud } from 'fleetbeat/testing';
import { asInstant } from '../../src/domain/identity.ts';

/** A simulated EC2 behind HTTP, with its clock in the test's hand, and a client of the AWS SDK that repeats nothing by itself. */
export interface Ec2Stage extends AsyncDisposable {
  readonly cloud: SimulatedCloud;
  readonly client: EC2Client;
  readonly url: string;
  pass(ms: number): void;
}

/** Every delay is so long, so that a test can count on it. */
export const FIXED_MS = {
  pending: [10, 10],
  'ssh-up': [20, 20],
  stopping: [30, 30],
  'shutting-down': [30, 30],
  terminated: [100, 100],
  stale: [7, 7],
  interruption: [50, 50],
} as const;

export async function ec2Stage(options: SimulatedCloudOptions = {}): Promise<Ec2Stage> {
  let now = 1_700_000_000_000;
  const cloud = simulatedCloud({ now: () => asInstant(now), latency: { ms: FIXED_MS }, ...options });
  const endpoint = await cloud.listen({ accessKeyId: 'AKIDSIMULATED' });
  const client = new EC2Client({
    endpoint: endpoint.url,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'AKIDSIMULATED', secretAccessKey: 'simulated' },
    maxAttempts: 1,
  });
  return {
    cloud,
    client,
    url: endpoint.url,
    pass(ms) {
      now += ms;
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await endpoint.close();
    },
  };
}
