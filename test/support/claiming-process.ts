import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Action, asInstant, type Step } from 'fleetbeat';
import { createClaims } from '../../src/claims.ts';
import { createLease } from '../../src/lease.ts';
import { createQueue } from '../../src/queue.ts';
import { openStore } from './named-store.ts';

/**
 * One of several processes on one store. Arms its actions, then claims and ends, in turn with the others, whatever waits there,
 * and prints `<action> <fence>` for each claim that it won. It prints `armed` first, goes on when it reads a line, and until its
 * input ends. Its arguments: the store as JSON,
 * its name, how many actions.
 */
const [, , description = '', owner = '', count = '0'] = process.argv;
const LEASE_MS = 10_000;
const AT_ONCE = 50;
/** After so many the lease is given back, and left to the others for a while. */
const TERM = 25;
const REST_MS = 30;
const LOOK_MS = 5;

const store = openStore(JSON.parse(description));
const now = () => asInstant(Date.now());
const lease = createLease(store, { owner, now });
const queue = createQueue(
  store,
  { expiresMs: 1e9, historyMs: 1e6, graceMs: 1e6 },
  { written() {}, found() {}, lost() {}, unfit() {}, isLeader: lease.held },
);
const claims = createClaims(store, { owner, lease, claimMs: LEASE_MS, reread: queue.reread });

const step = (i: number): Step => ({
  lane: `services/${owner}-${i}` as Step['lane'],
  when: { on: 'now' },
  do: { level: 'services', name: `${owner}-${i}`, verb: 'start' },
});

async function slices<T>(all: readonly T[], act: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += AT_ONCE) await Promise.all(all.slice(from, from + AT_ONCE).map(act));
}

async function claim(action: Action): Promise<void> {
  const { id } = action;
  const claimed = await claims.claim(action);
  if (claimed.outcome !== 'won') return;
  process.stdout.write(`${id} ${claimed.fence}\n`);
  await queue.update(action, { status: 'dispatching' });
  await queue.update(action, { status: 'done' });
  await claims.release(id);
}

const steps = Array.from({ length: Number(count) }, (_, i) => step(i));
await slices(steps, (one) => queue.arm([one], now));

let isOver = false;
const input = createInterface(process.stdin).on('close', () => {
  isOver = true;
});
process.stdout.write('armed\n');
await once(input, 'line');
while (!isOver) {
  if (await lease.renew(LEASE_MS)) {
    await queue.refresh(now, true);
    await slices(queue.all().slice(0, TERM), claim);
    await lease.release();
    await pause(REST_MS);
  }
  await pause(LOOK_MS);
}
await store.close?.();
