/**
 * fleetbeat inside another orchestrator, which knows its machines already: it pushes heartbeats, and performs what is due.
 *
 *   npx tsx examples/embed.ts
 */
import { asInstant, createFleet, type Driver, type Heartbeat, type InstanceFacts, parseIp, triggerText } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';

/** What the orchestrator knows of its one machine. */
const machine: { power: 'stopped' | 'pending' | 'running'; ssh: 'refused' | 'up' } = { power: 'stopped', ssh: 'refused' };

/** How the orchestrator does what the fleet asks for. It is never polled here, so it has nothing to observe. */
const rack: Driver<InstanceFacts> = {
  name: 'rack',
  everyMs: 10_000,
  observe: async ({ now }) => ({ items: [], readAt: now, complete: false, problems: [] }),
  perform: async (calls) =>
    calls.map(({ call }) => {
      console.log(`perform   ${call.do.verb}`);
      if (call.do.verb === 'start') machine.power = 'pending';
      return null;
    }),
};

let now = 1_000;
let seq = 0;
function heartbeat(): Heartbeat {
  now += 1_000;
  const readAt = asInstant(now);
  const facts: InstanceFacts = {
    cloud: 'rack',
    id: 'blade-7',
    ip: parseIp('10.0.0.107'),
    readAt,
    power: { state: machine.power, raw: machine.power },
    ssh: machine.ssh,
  };
  return { source: 'rack', epoch: 'today', seq: ++seq, instances: { items: [facts], readAt, complete: true, problems: [] } };
}

await using fleet = createFleet({ drivers: { instances: [rack] }, store: memory(), now: () => asInstant(now) });
fleet.on('changed', ({ to, kind }) => console.log(`${kind.padEnd(9)} ${to.name} is ${to.state}`));
fleet.on('action', (action) => console.log(`action    ${action.do.verb} is ${action.status}`));

await fleet.observe(heartbeat(), 'driver');
const reply = await fleet.dispatch({ level: 'instances', action: 'start', group: 'blade-7' });
for (const action of [...reply.started, ...reply.deferred])
  console.log(`armed     ${action.do.verb}, when ${triggerText(action.when)}`);

const id = reply.started[0]?.id;
if (id === undefined) throw new Error(`nothing was started: ${reply.code}`);
let isOver = false;
const over = fleet.settled(id).then((action) => {
  isOver = true;
  return action;
});
while (!isOver) {
  await fleet.observe(heartbeat(), 'driver');
  await new Promise((resolve) => setImmediate(resolve));
  // The rest of the orchestrator goes about its work: the machine boots, then ssh answers.
  if (machine.power === 'running') machine.ssh = 'up';
  if (machine.power === 'pending') machine.power = 'running';
}
console.log(`outcome   ${(await over).status}`);
