import { openLoadedShop } from '../../test/support/loaded-shop.ts';
import type { Switched } from '../switchover.ts';

/**
 * Changes the master of a cluster under load, then restarts the cluster, and prints what became of the writes as JSON. Outside of the
 * namespaces of `orchestrator.sh` it makes no machines, and prints null.
 */
const switched = process.env.FLEETBEAT_ORCHESTRATOR === undefined ? null : await measure();
process.stdout.write(`${JSON.stringify(switched)}\n`);

async function measure(): Promise<Switched> {
  const stage = await openLoadedShop();
  try {
    const change = await stage.command('switch', 'db2');
    const restart = await stage.command('rolling_restart', 'shop');
    return {
      outageMs: change.writes.longestOutageMs,
      tookMs: change.tookMs,
      restartOutageMs: restart.writes.longestOutageMs,
      lost: change.lost + restart.lost,
      together: change.together + restart.together,
    };
  } finally {
    await stage.close();
  }
}
