/**
 * The charts alone: no fleet, no store, no driver. The host brings what it has observed and does what the chart asks for.
 * Its clock is its own, so that it ends at once.
 *
 *   npx tsx examples/machines-only.ts
 */
import { setImmediate } from 'node:timers/promises';
import { asInstant, asToken, createInventory, FleetError, type InstanceFacts, type InstanceVerb, instanceKey } from 'fleetbeat';
import { type EntityEmitted, instanceMachine, type PerformInput, type PerformOutput } from 'fleetbeat/machines';
import { createActor, fromPromise, type Snapshot } from 'xstate';

let now = 0;
const say = (line: string) => console.log(`${now / 1000} s  ${line}`);

/** Stands for whatever the host runs: a machine that refuses its first start, then boots for two seconds and opens ssh after two more. */
const rack = { refusals: 1, startedAt: Number.POSITIVE_INFINITY };

const factsOf = (id: string): InstanceFacts => {
  const running = now - rack.startedAt;
  const state = running >= 2000 ? 'running' : running >= 0 ? 'pending' : 'stopped';
  const ssh = running >= 4000 ? 'up' : 'refused';
  return {
    cloud: 'rack',
    id,
    ip: null,
    readAt: asInstant(now),
    power: { state, raw: state },
    ...(state === 'running' && { ssh }),
  };
};

const machine = instanceMachine.provide({
  actors: {
    perform: fromPromise<PerformOutput, PerformInput>(async ({ input }) => {
      say(`asked to ${input.do.verb}, try ${input.attempt}`);
      if (rack.refusals-- > 0) throw new FleetError('ER0221', 'no power left in this rack', { retryable: true });
      rack.startedAt = now;
      return { acceptedAt: asInstant(now) };
    }),
  },
});

function open(snapshot?: Snapshot<unknown>) {
  const actor = createActor(machine, { input: { key }, ...(snapshot && { snapshot }) });
  actor.on('*', ({ type, message }: EntityEmitted) => say(`${type}: ${message}`));
  return actor.start();
}

const key = instanceKey('rack', 'r1');
const inventory = createInventory();
let actor = open();

/** One heartbeat: the host reads its machine, the inventory says what that means, the chart hears it. */
async function beat() {
  now += 1000;
  const reading = { items: [factsOf('r1')], readAt: asInstant(now), complete: true, problems: [] };
  for (const { from, to } of inventory.apply({ source: 'rack', epoch: 'example', seq: now, instances: reading }, asInstant(now)))
    if (from?.state !== to.state) say(`is ${to.state}`);
  const view = inventory.get(key);
  if (view) actor.send({ type: 'heartbeat', now: asInstant(now), fresh: true, view });
  await setImmediate();
}

const asked = <V extends InstanceVerb>(verb: V) => ({
  type: verb,
  now: asInstant(now),
  token: asToken(`${verb}-1`),
  do: { level: 'instances' as const, subject: { key }, verb },
  begun: null,
});

await beat();
actor.send(asked('start'));
say(`may be rebooted meanwhile: ${actor.getSnapshot().can(asked('reboot'))}`);
await beat();

const saved = JSON.stringify(actor.getPersistedSnapshot());
actor.stop();
actor = open(JSON.parse(saved));
say('saved as JSON and restored');

while (!actor.getSnapshot().hasTag('running')) await beat();
say(`busy: ${actor.getSnapshot().hasTag('busy')}`);
