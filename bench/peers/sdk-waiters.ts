import { type EC2Client, StartInstancesCommand, waitUntilInstanceRunning } from '@aws-sdk/client-ec2';
import { patiently } from './patiently.ts';

/** What the SDK's guide shows, for each instance by itself: start it, then wait until it runs. */
export async function waitForEach(client: EC2Client, ids: readonly string[], onRunning: () => void): Promise<void> {
  await Promise.all(
    ids.map(async (id) => {
      await patiently(() => client.send(new StartInstancesCommand({ InstanceIds: [id] })));
      await patiently(() => waitUntilInstanceRunning({ client, maxWaitTime: 600 }, { InstanceIds: [id] }));
      onRunning();
    }),
  );
}
