import { inParallel } from '../../../src/domain/in-parallel.ts';
import { isFleetError } from '../../../src/errors.ts';
import { textAt } from '../at.ts';
import type { Listed } from '../cloud.ts';
import type { Asking } from '../rest.ts';
import type { Ask } from '../session.ts';

const AT_ONCE = 4;
/** Faults asked for in one reading: a cloud that has run full may have hundreds, of which few are worth a request each. */
const MOST_A_READING = 8;
const REMEMBERED = 1000;

/**
 * Why servers are in ERROR. Nova's list leaves that out for those that never reached a host, which a full cloud makes; the server
 * itself has it, and is asked once.
 */
export function createFaults() {
  const known = new Map<unknown, string>();

  return async (items: readonly Listed[], ask: Ask, asking: Asking): Promise<readonly Listed[]> => {
    // It may fail again, for another reason.
    for (const { id, state } of items) if (state !== 'ERROR') known.delete(id);
    const isUnexplained = ({ id, state, fault }: Listed) => state === 'ERROR' && fault === undefined && !known.has(id);
    const unexplained = items.filter(isUnexplained).slice(0, MOST_A_READING);
    await inParallel(unexplained, AT_ONCE, async ({ id }) => {
      if (typeof id !== 'string') return;
      try {
        const { status, body } = await ask({ method: 'GET', path: '/servers/{id}', params: { id } }, asking);
        if (status < 300) known.set(id, textAt(body, 'server', 'fault', 'message') ?? '');
      } catch (error) {
        // The list is as good without it.
        if (asking.signal.aborted || !isFleetError(error)) throw error;
      }
    });
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) break;
      known.delete(oldest);
    }
    return items.map((item) =>
      item.state === 'ERROR' && item.fault === undefined ? { ...item, fault: known.get(item.id) } : item,
    );
  };
}
