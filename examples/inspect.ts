/**
 * A fleet that the Stately inspector watches, over the inspector's own WebSocket transport.
 *
 *   npx tsx examples/inspect.ts ws://127.0.0.1:8080
 *
 * Give it the address of a relay, such as `createInspectorServer()` of @statelyai/inspect/server starts. Every instance, service
 * and action is an actor there, in the words of the wire. Contexts are sent too: choose who may listen.
 */
import { createWebSocketInspector } from '@statelyai/inspect';
import { asInstant, createFleet } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { simulatedFleet, simulatedKinds } from 'fleetbeat/testing';

const url = process.argv[2] ?? 'ws://127.0.0.1:8080';
// Until the connection is open, events wait: those of a whole start should find room.
const inspector = createWebSocketInspector({ url, maxDeferredEvents: 10_000 });

let now = 0;
const clock = () => asInstant(now);
const world = {
  instances: [{ id: 'i-1', ip: '10.0.0.101', state: 'stopped' }],
  services: [{ name: 'nosql1', ip: '10.0.0.101', mode: 'memcache', status: 'master', state: 'uninstalled' }],
} as const;
const simulated = simulatedFleet({ now: clock, ...world });
const fleet = createFleet({
  drivers: { instances: [simulated.instances], services: [simulated.services] },
  kinds: simulatedKinds(),
  services: world.services,
  store: memory(),
  now: clock,
  inspect: (event) => inspector.inspect.next?.(event),
});

await fleet.beat();
const { started } = await fleet.dispatch({ level: 'services', action: 'start', group: 'nosql1' });
console.log(`${started.length} action is due, ${fleet.actions().length} are in the queue; ${url} is told of each`);
while (fleet.actions().length > 0) {
  now += 2_000;
  await fleet.beat();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(`nosql1 is ${fleet.views().find((view) => view.name === 'nosql1')?.state}`);
await fleet.stop();
inspector.stop();
