import { asInstant, createFleet } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { SEED_FLEET, simulatedFleet, simulatedKinds } from 'fleetbeat/testing';
import { expect, test } from 'vitest';
import { turns } from '../support/turns.ts';

test('a service whose instance is stopped is started rung by rung', async () => {
  let now = 1_000_000;
  const node13 = { name: 'node13', ip: '10.0.0.209', mode: 'mariadb', status: 'slave' } as const;
  const services = [...SEED_FLEET.services, { ...node13, state: 'uninstalled' as const }];
  const simulated = simulatedFleet({ now: () => asInstant(now), ...SEED_FLEET, services });
  await using fleet = createFleet({
    drivers: { instances: [simulated.instances], services: [simulated.services] },
    kinds: simulatedKinds(),
    services,
    store: memory({ now: () => now }),
    now: () => asInstant(now),
  });
  const rungs: string[] = [];
  fleet.on('changed', ({ key, kind, to }) => {
    if (kind === 'changed' && (key === 'services/node13' || to.ip === '10.0.0.209') && rungs.at(-1) !== to.state)
      rungs.push(to.state);
  });
  await fleet.beat();

  const reply = await fleet.dispatch({ level: 'services', action: 'start', group: 'node13' });
  expect(reply.code).toBe('ER0016');
  expect([...reply.started, ...reply.deferred].map((action) => action.do.verb)).toEqual(['start', 'bootstrap', 'start']);

  for (let beats = 0; beats < 100 && fleet.actions().length > 0; beats++) {
    now += 2000;
    await fleet.beat();
    await turns();
  }
  expect(rungs).toEqual([
    'pending',
    'ssh-up',
    'uninstalled',
    'bootstrapped',
    'managed',
    'stopped',
    'starting',
    'up',
    'replicating',
    'routed',
  ]);
});
