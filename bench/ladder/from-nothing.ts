import { openShop, type Shop } from '../../test/support/shop.ts';
import type { Climbed } from '../ladder.ts';

/** How long the servers may take in all. */
const PATIENCE_MS = 150_000;
const LOOK_MS = 20;

/**
 * Brings a cluster from machines that are off to routed, and prints what that took as JSON. Outside of the namespaces of
 * `orchestrator.sh` the machines would be on the network of the host: there it makes none, and prints null.
 */
const climbed = process.env.FLEETBEAT_ORCHESTRATOR === undefined ? null : await climb();
process.stdout.write(`${JSON.stringify(climbed)}\n`);

async function climb(): Promise<Climbed> {
  const shop = await openShop({ everyMs: 500 });
  try {
    await until(shop, () => shop.fleet.role === 'leader');
    const from = performance.now();
    await shop.fleet.dispatch({ level: 'services', action: 'start', group: 'shop' });
    await until(shop, () => shop.belowTop().length === 0 && shop.fleet.actions().length === 0);
    return { tookMs: performance.now() - from, beatMs: shop.climb.beatMs(from), rungs: shop.rungs(from) };
  } finally {
    await shop.close();
  }
}

async function until(shop: Shop, isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(['not routed:', ...shop.belowTop(), ...shop.failures()].join('\n'));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
