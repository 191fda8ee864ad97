import { setTimeout as pause } from 'node:timers/promises';
import { DescribeInstancesCommand, type EC2Client, StartInstancesCommand } from '@aws-sdk/client-ec2';
import { patiently } from './patiently.ts';

const EVERY_MS = 5000;

/** The loop that people write: each instance is started, and asked after every five seconds until it runs. */
export async function pollEach(client: EC2Client, ids: readonly string[], onRunning: () => void): Promise<void> {
  await Promise.all(
    ids.map(async (id) => {
      await patiently(() => client.send(new StartInstancesCommand({ InstanceIds: [id] })));
      for (;;) {
        const { Reservations = [] } = await patiently(() => client.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
        if (Reservations.some(({ Instances = [] }) => Instances.some(({ State }) => State?.Name === 'running'))) break;
        await pause(EVERY_MS);
      }
      onRunning();
    }),
  );
}
