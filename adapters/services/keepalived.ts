import { type AnyServiceKind, defineServiceKind, type Neighbours, type Shell } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { asInstant, type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Service, ServiceFacts } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import { REMOVE } from '../host/directory.ts';
import { type Place, runScript } from '../host/script.ts';
import { configurationOf } from './keepalived/configuration.ts';
import { APPLY, LOOK, STOP } from './keepalived/scripts.ts';
import { dataDirOf, ipOf, type KeepalivedSettings, readSettings } from './keepalived/settings.ts';

export type { KeepalivedSettings } from './keepalived/settings.ts';

type Keepalived = Service<KeepalivedSettings>;

/**
 * The service kind of mode `keepalived`: addresses that are always on one of several hosts, by VRRP version 3 without multicast.
 *
 * Its peers are the keepalived of its cluster with the same `routerId`. Its role is where the addresses really are: `master` while
 * its host has them all, else `slave`, whatever keepalived thinks. One that was killed and has left an address behind fails, until
 * it is stopped or started. They leave a host on which a balancer of the cluster does not run. Its rung `routed` holds while it runs what its cluster wants. It is run by root.
 *
 * @example
 * ```ts
 * const settings = { addresses: ['10.0.0.100/24'], interface: 'eth0' };
 * createFleet({
 *   kinds: [haproxy(), keepalived()],
 *   services: [
 *     { name: 'vip1', ip: '10.0.0.105', mode: 'keepalived', status: 'master', cluster: 'shop', settings },
 *     { name: 'vip2', ip: '10.0.0.106', mode: 'keepalived', status: 'slave', cluster: 'shop', settings },
 *   ],
 *   …
 * });
 * ```
 */
export const keepalived = (): AnyServiceKind =>
  defineServiceKind<KeepalivedSettings>({
    mode: 'keepalived',
    host: 'managed',
    ladder: ['installed', 'up', 'routed'],
    settings: readSettings,

    async probe(of, shell, signal, among) {
      const text = await runScript('look at', placeOf(of), shell, LOOK, [], signal);
      // The driver puts the instant of its reading in place of ours.
      return { name: of.name, readAt: asInstant(Date.now()), ...factsIn(text, of, among) };
    },

    steps: {
      installed: (of, shell, _permit, signal, among) => apply('install', of, shell, signal, among),
      up: (of, shell, _permit, signal, among) => apply('up', of, shell, signal, among),
      routed: (of, shell, _permit, signal, among) => apply('route', of, shell, signal, among),
      configure: (of, shell, _permit, signal, among) => apply('route', of, shell, signal, among),
      stop: (of, shell, _permit, signal) => stop(of, shell, signal),
      async remove(of, shell, permit, signal) {
        await stop(of, shell, signal);
        if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${of.name} was removed`);
        await runScript('remove', placeOf(of), shell, REMOVE, [], signal);
      },
    },
    configFile: (of, among) => ({ path: `${dataDirOf(of)}/${CONFIG}`, text: configurationOf(of, among).text }),
  });

const CONFIG = 'keepalived.conf';

const placeOf = (of: Keepalived): Place => ({
  name: of.name,
  ip: of.ip,
  dir: dataDirOf(of),
  config: CONFIG,
  pidFile: 'keepalived.pid',
});

async function apply(what: string, of: Keepalived, shell: Shell, signal: AbortSignal, among: Neighbours): Promise<void> {
  const { text, digest, tracked } = configurationOf(of, among);
  await runScript(what, placeOf(of), shell, APPLY, [what, of.settings.binary, digest, ...tracked], signal, text);
}

async function stop(of: Keepalived, shell: Shell, signal: AbortSignal): Promise<void> {
  const { interface: device, addresses } = of.settings;
  await runScript('stop', placeOf(of), shell, STOP, [device, ...addresses], signal);
}

type Seen = Omit<ServiceFacts, 'name' | 'readAt'>;

function factsIn(text: string, of: Keepalived, among: Neighbours): Seen {
  const [first = '', ...lines] = text.split('\n');
  const [state, digest, runId, told] = first.split(' ');
  if (state === 'uninstalled') return { code: 'ER0024', holds: { installed: false, up: false, routed: false } };
  if ((state !== 'running' && state !== 'stopped') || digest === undefined)
    throw new FleetError('ER0018', `${of.name} on ${of.ip} was looked at and is ${excerpt(text)}`, { retryable: true });

  const here = addressesHere(of, new Set(lines.flatMap((line) => parseIp(line) ?? [])));
  const { digest: wanted } = configurationOf(of, among);
  const role = here.length === of.settings.addresses.length ? 'master' : 'slave';
  if (state === 'stopped' || runId === undefined) {
    const holds = { installed: digest === wanted, up: false, routed: false };
    if (here.length > 0) return { code: 'ER0018', holds, role, reason: `it does not run, yet its host has ${here.join(', ')}` };
    return { code: 'ER0023', holds, configured: digest === wanted, role, ...(digest !== wanted && { reason: OTHER_FILE }) };
  }
  const reason = digest !== wanted ? OTHER_FILE : told !== wanted ? OTHER_TOLD : null;
  return {
    code: '000000',
    holds: { installed: true, up: true, routed: reason === null },
    configured: reason === null,
    role,
    runId,
    ...(reason !== null && { reason }),
  };
}

const addressesHere = ({ settings }: Keepalived, onHost: ReadonlySet<Ip>): readonly Ip[] =>
  settings.addresses.map(ipOf).filter((ip) => onHost.has(ip));

const OTHER_FILE = `${CONFIG} is not what its cluster wants: it was changed by hand, or the cluster has changed`;
const OTHER_TOLD = `it was not told to read the present ${CONFIG}`;
