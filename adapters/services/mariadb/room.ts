import type { Shell } from '../../../src/contracts.ts';
import { gtidText } from './gtid.ts';
import { hostOf } from './host.ts';
import { ROOM } from './scripts.ts';
import { type Mariadb, socketOf } from './service.ts';
import type { ServerStatus } from './status.ts';

/**
 * Finds why a server commits nothing: its disk is full, or was. Such a server answers every question as ever, while each write waits,
 * up to a minute longer than the disk is full.
 */
export interface RoomWatch {
  /** Why commits wait, for a person; null where none does, or the host cannot be asked. */
  obstacleOf(of: Mariadb, status: ServerStatus, shell: Shell, signal: AbortSignal): Promise<string | null>;
}

/** A host that does not answer may not hold up what its server has said already. */
const ASK_MS = 1500;

/** Only a server that has committed nothing since it was looked at last is asked for its room. */
export function roomWatch(): RoomWatch {
  const positions = new Map<string, string>();
  const waiting = new Set<string>();

  return {
    async obstacleOf(of, { runId, current }, shell, signal) {
      const position = `${runId} ${gtidText(current)}`;
      const hasMoved = positions.has(of.name) && positions.get(of.name) !== position;
      positions.set(of.name, position);
      if (hasMoved) {
        waiting.delete(of.name);
        return null;
      }
      const said = await ask(of, shell, waiting.has(of.name), signal);
      const [room, waiters] = said ?? [];
      if (room === undefined || waiters === undefined) return null;
      if (room >= LEAST_KIB && waiters === 0) {
        waiting.delete(of.name);
        return null;
      }
      waiting.add(of.name);
      if (room < LEAST_KIB) return `its disk is full: ${room} KiB are left for its data, and no write ends`;
      return 'its disk was full: its writes go on within a minute';
    },
  };
}

/** With less than this, in KiB, the next transaction may not fit. */
export const LEAST_KIB = 1024;

/** How many KiB are left, and how many statements wait for some; null where the host does not say. */
async function ask(
  of: Mariadb,
  shell: Shell,
  wasFull: boolean,
  signal: AbortSignal,
): Promise<readonly (number | undefined)[] | null> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
  const words = [of.settings.binaries.client, socketOf(of), String(LEAST_KIB), wasFull ? 'count' : 'skip'];
  try {
    const said = await hostOf(of, shell, limit).run('look at the disk of', ROOM, words, { deadlineMs: ASK_MS, onlyLooks: true });
    return said.trim().split(' ').map(Number);
  } catch {
    signal.throwIfAborted();
    // Why its host cannot be asked is told by whoever looks at the host.
    return null;
  }
}
