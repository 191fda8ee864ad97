import type { Shell } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import type { ServiceFacts } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import { REMOVE, STOP } from '../host/directory.ts';
import { type Place, runScript } from '../host/script.ts';
import { type Wanted, written } from './configuration.ts';
import { APPLY, LOOK } from './scripts.ts';
import { readLook, routesIn } from './statistics.ts';

/** A haproxy in a directory of its own, and what it is to be. */
export interface Haproxy extends Pick<Place, 'name' | 'ip' | 'dir'> {
  readonly binary: string;
  readonly wanted: Wanted;
}

export const placeOf = ({ name, ip, dir }: Pick<Place, 'name' | 'ip' | 'dir'>): Place => ({
  name,
  ip,
  dir,
  config: 'haproxy.cfg',
  pidFile: 'haproxy.pid',
});

/** Looks at a haproxy: one command on its host. It is on the rung `routed` when it runs what is wanted of it. */
export async function look(of: Haproxy, shell: Shell, signal: AbortSignal): Promise<Omit<ServiceFacts, 'name' | 'readAt'>> {
  const text = await runScript('look at', placeOf(of), shell, LOOK, [], signal);
  const seen = readLook(text);
  if (!seen) throw new FleetError('ER0018', `${of.name} on ${of.ip} was looked at and is ${excerpt(text)}`, { retryable: true });
  const { digest, version } = written(of.wanted);
  switch (seen.is) {
    case 'uninstalled':
      return { code: 'ER0024', holds: { installed: false, up: false, routed: false } };
    case 'stopped': {
      const isWanted = seen.digest === digest;
      const holds = { installed: isWanted, up: false, routed: false };
      return { code: 'ER0023', holds, configured: isWanted, ...(!isWanted && { reason: OTHER_FILE }) };
    }
    case 'running': {
      const { says, runId } = seen;
      if (!says) return { code: 'ER0018', holds: { installed: true, up: false, routed: false }, reason: MUTE };
      const reason = seen.digest !== digest ? OTHER_FILE : says.version !== version ? OTHER_VERSION : null;
      return {
        code: '000000',
        holds: { installed: true, up: true, routed: reason === null },
        configured: reason === null,
        runId,
        routes: routesIn(says, of.wanted.listeners),
        ...(reason !== null && { reason }),
      };
    }
    default:
      return seen satisfies never;
  }
}

const OTHER_FILE = 'haproxy.cfg is not what its cluster wants: it was changed by hand, or the cluster has changed';
const OTHER_VERSION = 'it runs another configuration than the one in haproxy.cfg';
const MUTE = 'it runs, but its stats socket does not answer';

/**
 * Brings a haproxy in line with what is wanted of it: `install` makes its directory and writes its configuration, `route` also
 * has one that runs take that over, `up` also starts one that does not.
 */
export async function apply(what: 'install' | 'route' | 'up', of: Haproxy, shell: Shell, signal: AbortSignal): Promise<void> {
  const { text, digest, version } = written(of.wanted);
  await runScript(what, placeOf(of), shell, APPLY, [what, of.binary, digest, version], signal, text);
}

export async function stop(of: Pick<Place, 'name' | 'ip' | 'dir'>, shell: Shell, signal: AbortSignal): Promise<void> {
  await runScript('stop', placeOf(of), shell, STOP, [], signal);
}

export async function remove(of: Pick<Place, 'name' | 'ip' | 'dir'>, shell: Shell, signal: AbortSignal): Promise<void> {
  await runScript('remove', placeOf(of), shell, REMOVE, [], signal);
}
