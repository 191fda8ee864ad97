import type { Neighbours, Shell } from '../../src/contracts.ts';
import { isName } from '../../src/domain/identity.ts';
import type { Service } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import type { Place } from '../host/script.ts';
import { runScript } from '../host/script.ts';
import { notWrittenTo } from './cluster.ts';
import { placeOf } from './program.ts';
import { COMMAND_SERVER, CUT } from './scripts.ts';
import { dataDirOf, type ProgramSettings } from './settings.ts';

/** What can be told to a haproxy that runs, about one of its backends. It holds over reloads, until the haproxy is started anew. */
export interface HaproxyRuntime {
  /** No new connections go to it; those that are open stay. */
  drain(backend: string, signal: AbortSignal): Promise<void>;
  /** Nothing goes to it, and it is not looked at. */
  maintain(backend: string, signal: AbortSignal): Promise<void>;
  /** It takes part again. */
  ready(backend: string, signal: AbortSignal): Promise<void>;
  /** @param percent its share of connections, from 0 to 100 of what its listener gives it otherwise */
  weigh(backend: string, percent: number, signal: AbortSignal): Promise<void>;
  /** Ends the connections to it that are open, also those from before a reload. */
  cut(backend: string, signal: AbortSignal): Promise<void>;
}

/**
 * Speaks to a service of mode `haproxy` or `mysql-proxy` through its socket on its host.
 *
 * Each rejects with an ER0205 where it has no such backend, with an ER0018 where it does not run or cannot be asked.
 *
 * @param of the service, as its kind has read it
 * @param shell for an effect, a fenced one
 * @example
 * ```ts
 * const runtime = haproxyRuntime(lb1, fencedShell(shell, permit));
 * await runtime.drain('db1', signal);
 * ```
 */
export function haproxyRuntime(of: Service, shell: Shell): HaproxyRuntime {
  if (of.mode !== 'haproxy' && of.mode !== 'mysql-proxy')
    throw new FleetError('ER0204', `${of.name} is a ${of.mode}; a haproxy or mysql-proxy can be told what to do`);
  const place = placeIn(of);

  const serversOf = (backend: string): readonly string[] => {
    if (!isName(backend)) throw new FleetError('ER0222', `a backend is the name of a service, found ${JSON.stringify(backend)}`);
    return LISTENERS.map((listener) => `${listener}/${backend}`);
  };
  const command = async (line: string, value: string, backend: string, signal: AbortSignal) => {
    const words = [line, value, ...serversOf(backend)];
    const taken = await runScript(`${value} ${backend} in`, place, shell, COMMAND_SERVER, words, signal);
    if (taken.trim() === '0') throw new FleetError('ER0205', `${of.name} has no backend ${backend}`);
  };

  return {
    drain: (backend, signal) => command('set server', 'state drain', backend, signal),
    maintain: (backend, signal) => command('set server', 'state maint', backend, signal),
    ready: (backend, signal) => command('set server', 'state ready', backend, signal),
    async weigh(backend, percent, signal) {
      if (!Number.isInteger(percent) || percent < 0 || percent > 100)
        throw new FleetError('ER0222', `a weight is a percentage from 0 to 100, found ${percent}`);
      await command('set server', `weight ${percent}%`, backend, signal);
    },
    async cut(backend, signal) {
      await runScript(`cut ${backend} in`, place, shell, CUT, serversOf(backend), signal);
    },
  };
}

/** Ends the connections for writing to every database of its cluster that is none of its masters. */
export async function release(of: Service, shell: Shell, signal: AbortSignal, among: Neighbours): Promise<void> {
  const servers = notWrittenTo(of, among).map((name) => `${WRITES}/${name}`);
  if (servers.length > 0) await runScript('let go of old writers in', placeIn(of), shell, CUT, servers, signal);
}

const placeIn = (of: Service): Place =>
  placeOf({ name: of.name, ip: of.ip, dir: dataDirOf(of as Service<Pick<ProgramSettings, 'dataDir'>>) });

const WRITES = 'writes';
const LISTENERS = [WRITES, 'reads', 'memcache'] as const;
