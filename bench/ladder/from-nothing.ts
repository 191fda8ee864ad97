import { openShop } from '../../test/support/shop.ts';

/** How long the servers may take in all. */
const PATIENCE_MS = 150_000;
const LOOK_MS = 20;

/** Started in the namespaces of its machines: brings a cluster from machines that are off to routed, and prints what that took as JSON. */
const shop = await openShop({ everyMs: 500 });
try {
  await until(() => shop.fleet.role === 'leader');
  const from = performance.now();
  await shop.fleet.dispatch({ level: 'services', action: 'start', group: 'shop' });
  await until(() => shop.belowTop().length === 0 && shop.fleet.actions().length === 0);
  const tookMs = performance.now() - from;
  process.stdout.write(`${JSON.stringify({ tookMs, beatMs: shop.climb.beatMs(), rungs: shop.rungs(from) })}\n`);
} finally {
  await shop.close();
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(['not routed:', ...shop.belowTop(), ...shop.failures()].join('\n'));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
