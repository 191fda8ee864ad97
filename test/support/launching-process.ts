import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { createFleet, isFleetError, probed, type Shell } from 'fleetbeat';
import { ec2, secret } from 'fleetbeat/adapters/ec2';
import { sqlite } from 'fleetbeat/adapters/sqlite';

/** What a process that may be killed is to do: to have an instance launched at an ip, unless that is on its way already. */
export interface LaunchOrders {
  readonly owner: string;
  readonly store: string;
  readonly endpoint: string;
  readonly ip: string;
  /** Whether an earlier process was told that the launch is armed. */
  readonly isAcknowledged: boolean;
  /** Where it writes down that it was told so. */
  readonly log: string;
}

const BEAT_MS = 20;
/** After this long, a launch that has not come to its end never will. */
const LONGEST_MS = 40_000;

/** Machines that answer as soon as their provider says that they run. */
const SHELL: Shell = {
  reachable: async () => 'up',
  run: async () => ({ exit: 0, stdout: 'boot-1\n', stderr: '' }),
  put: async () => {},
};

process.once('message', (orders: LaunchOrders) => void live(orders));

async function live({ owner, store: file, endpoint, ip, isAcknowledged, log }: LaunchOrders): Promise<void> {
  const store = sqlite(file);
  const cloud = ec2({
    region: 'eu-west-1',
    endpoint,
    allow: [new URL(endpoint).host],
    credentials: { accessKeyId: 'AKIDSIMULATED', secretAccessKey: secret('simulated') },
    launch: { imageId: 'ami-1' },
    deadlineMs: 2000,
  });
  const fleet = createFleet({
    drivers: { instances: [probed(cloud, SHELL, { fence: false })] },
    store,
    owner,
    policy: {
      // Who holds it for less than a beat takes on a busy machine never leads.
      leaseMs: 1000,
      claimMs: 1200,
      freshMs: 50,
      backoffMs: 50,
      backoffMaxMs: 200,
      settleMs: 10_000,
      graceMs: 100,
      attempts: 20,
    },
  });
  let isAsked = isAcknowledged;
  const isOver = () => isAsked && fleet.role === 'leader' && fleet.actions().length === 0;
  const until = performance.now() + LONGEST_MS;
  while (performance.now() < until && !isOver()) {
    await fleet.beat();
    if (!isAsked && fleet.role === 'leader') {
      await fleet.dispatch({ level: 'instances', action: 'launch', group: ip }).catch(unlessRefused);
      writeDown(log);
      isAsked = true;
    }
    await pause(BEAT_MS);
  }
  await fleet.stop();
  await store.close?.();
  process.disconnect();
}

/** On the disk before it returns. */
function writeDown(log: string): void {
  const descriptor = openSync(log, 'a');
  writeSync(descriptor, 'acknowledged\n');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function unlessRefused(error: unknown): void {
  if (!isFleetError(error)) throw error;
}
