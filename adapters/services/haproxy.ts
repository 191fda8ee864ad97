import { type AnyServiceKind, defineServiceKind, type Neighbours } from '../../src/contracts.ts';
import { asInstant } from '../../src/domain/identity.ts';
import type { Service } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import { haproxyOf, namesIn } from '../haproxy/cluster.ts';
import { written } from '../haproxy/configuration.ts';
import { apply, type Haproxy, look, remove, stop } from '../haproxy/program.ts';
import { release } from '../haproxy/runtime.ts';
import { dataDirOf, isPortOrNull, PORT_OR_NULL, type ProgramSettings, programSettings } from '../haproxy/settings.ts';
import { fieldsOf } from '../host/settings.ts';

export { type HaproxyRuntime, haproxyRuntime } from '../haproxy/runtime.ts';

export interface HaproxySettings extends ProgramSettings {
  /** Where memcached is taken. Default null: nowhere. */
  readonly memcache: number | null;
}

/**
 * The service kind of mode `haproxy`: a balancer for the databases and memcacheds of its cluster, in a directory of its own.
 *
 * Its configuration is made of the services of its cluster: writes go to the master, reads to the replicas. It is written beside
 * the present one, checked by haproxy itself, and then put in its place; a haproxy that runs takes it over without losing a
 * connection. Its rung `routed` holds while it runs what its cluster wants: a file that was changed by hand loses that, and
 * what ran before goes on. Hosts need one of socat, perl and python3. Its `runId` is the pid and start of its master process.
 *
 * @example
 * ```ts
 * createFleet({
 *   kinds: [mariadb(), haproxy()],
 *   services: [
 *     { name: 'lb1', ip: '10.0.0.105', mode: 'haproxy', status: 'standalone', cluster: 'shop', settings: { addresses: ['10.0.0.100'] } },
 *     …
 *   ],
 *   …
 * });
 * ```
 */
export const haproxy = (): AnyServiceKind =>
  defineServiceKind<HaproxySettings>({
    mode: 'haproxy',
    host: 'managed',
    ladder: ['installed', 'up', 'routed'],
    settings: readSettings,

    async probe(of, shell, signal, among) {
      // The driver puts the instant of its reading in place of ours.
      return { name: of.name, readAt: asInstant(Date.now()), ...(await look(wantedOf(of, among), shell, signal)) };
    },

    steps: {
      installed: (of, shell, _permit, signal, among) => apply('install', wantedOf(of, among), shell, signal),
      up: (of, shell, _permit, signal, among) => apply('up', wantedOf(of, among), shell, signal),
      routed: (of, shell, _permit, signal, among) => apply('route', wantedOf(of, among), shell, signal),
      stop: (of, shell, _permit, signal, among) => stop(wantedOf(of, among), shell, signal),
      async remove(of, shell, permit, signal, among) {
        await stop(wantedOf(of, among), shell, signal);
        if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${of.name} was removed`);
        await remove(wantedOf(of, among), shell, signal);
      },
    },
    route: (of, shell, _permit, signal, among) => apply('route', wantedOf(of, among), shell, signal),
    release: (of, shell, _permit, signal, among) => release(of, shell, signal, among),
    backends: (of, among) => namesIn(wantedOf(of, among).wanted.listeners),
    configFile: (of, among) => ({ path: `${dataDirOf(of)}/haproxy.cfg`, text: written(wantedOf(of, among).wanted).text }),
  });

function readSettings(raw: unknown): HaproxySettings {
  const fields = fieldsOf(raw, 'haproxy');
  const settings: HaproxySettings = {
    ...programSettings(fields),
    memcache: fields.take<number | null>('memcache', null, isPortOrNull, PORT_OR_NULL),
  };
  fields.end();
  return settings;
}

const wantedOf = (of: Service<HaproxySettings>, among: Neighbours): Haproxy => haproxyOf(of, of.settings.memcache, among);
