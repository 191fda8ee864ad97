import { type AnyServiceKind, defineServiceKind, type Neighbours, type Shell } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { asInstant, serviceKey } from '../../src/domain/identity.ts';
import type { ServiceFacts } from '../../src/domain/service.ts';
import { scrubber } from '../http/secret.ts';
import { type MariadbMode, masterOf } from './mariadb/cluster.ts';
import { servers } from './mariadb/connection.ts';
import { failover } from './mariadb/failover.ts';
import { hostOf } from './mariadb/host.ts';
import { followingOf, obstacleOf, roleOf } from './mariadb/judgement.ts';
import { configure, install, remove, start, stop } from './mariadb/lifecycle.ts';
import { optionFile, optionFilePath, optionsMark } from './mariadb/options.ts';
import { bringIntoReplication } from './mariadb/replicating.ts';
import { roomWatch } from './mariadb/room.ts';
import { LOOK } from './mariadb/scripts.ts';
import { type Mariadb, type MariadbSettings, secretsOf, serverIdOf } from './mariadb/service.ts';
import { readSettings } from './mariadb/settings.ts';
import { readStatus, type ServerStatus } from './mariadb/status.ts';
import { switchover } from './mariadb/switchover.ts';

export { type Secret, secret } from '../http/secret.ts';
export { catchUp } from './mariadb/catch-up.ts';
export type { MariadbMode } from './mariadb/cluster.ts';
export { type Servers, servers } from './mariadb/connection.ts';
export { type Gtid, gtidText, isReached, missingFrom, parseGtids } from './mariadb/gtid.ts';
export { makeReadOnly, promote } from './mariadb/promote.ts';
export { repoint } from './mariadb/repoint.ts';
export type { Credentials, ExtraOptions, Mariadb, MariadbBinaries, MariadbSettings } from './mariadb/service.ts';

export interface MariadbOptions {
  /** `mariadb`, or `mysql` as configurations may call the same. Default `mariadb`. */
  readonly mode?: MariadbMode;
  /** Where a password `{ env: 'NAME' }` is found. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * The service kind of mode `mariadb`: a MariaDB of the host, in a directory of its own, replicated by GTID within its cluster.
 *
 * It is probed by SQL through the network, as a user who may see the state of replication and no more. Where nobody listens
 * on its port the host itself is asked, over the shell, whether it is stopped, starting or not installed; where the host cannot be
 * asked, the probe rejects and the service is unknown. The host of one that answers, and has committed nothing since the last look,
 * is asked whether its disk is full: then it fails with ER0270, since its writes wait while all else is as ever. It is administered over the shell alone, through its socket: no password of an
 * administrator exists. Every start is read-only; only the step `replicating` lets a master write, and no two of a cluster.
 *
 * Its option file is written at each start, and by `bootstrap_config` while it runs, which changes nothing in what runs: one that
 * was started with other options says so in its reason until it is restarted.
 *
 * A replica without data copies its master's; one that has what its master does not have is refused, never overwritten. `remove`
 * deletes the data only when it is asked for a second time, by another action within 15 minutes. Its `runId` is the second at which
 * it started and a name that no other run has.
 *
 * @example
 * ```ts
 * const settings = {
 *   memoryMb: 1024,
 *   monitor: { password: secret(process.env.MONITOR_PASSWORD) },
 *   replication: { password: secret(process.env.REPLICATION_PASSWORD) },
 * };
 * createFleet({
 *   kinds: [mariadb()],
 *   services: [
 *     { name: 'db1', ip: '10.0.0.101', mode: 'mariadb', status: 'master', cluster: 'shop', settings },
 *     { name: 'db2', ip: '10.0.0.102', mode: 'mariadb', status: 'slave', cluster: 'shop', settings },
 *   ],
 *   …
 * });
 * ```
 */
export function mariadb({ mode = 'mariadb', env = process.env }: MariadbOptions = {}): AnyServiceKind {
  const from = servers();
  const room = roomWatch();

  return defineServiceKind<MariadbSettings>({
    mode,
    host: 'managed',
    ladder: ['installed', 'up', 'replicating', 'routed'],
    needs: {
      replicating(of, among) {
        const master = of.status === 'slave' ? masterOf(of, among) : null;
        return master ? [serviceKey(master.name)] : [];
      },
    },
    settings: (raw) => readSettings(raw, mode, env),
    configFile: (of) => ({ path: optionFilePath(of), text: optionFile(of, 'masked') }),

    async probe(of, shell, signal, among) {
      const answer = await readStatus(from, of, signal);
      switch (answer.kind) {
        case 'sound': {
          const facts = { ...seen(of), ...judged(of, answer.status, among) };
          if (!facts.holds.up) return facts;
          const reason = await room.obstacleOf(of, answer.status, shell, signal);
          return reason === null ? facts : { ...facts, code: 'ER0270', holds: { installed: true, up: false }, reason };
        }
        case 'unsound':
          return { ...seen(of), code: 'ER0003', holds: { installed: true, up: false }, reason: answer.reason };
        case 'refused':
          return { ...seen(of), ...(await lookAt(of, shell, signal)) };
        default:
          return answer satisfies never;
      }
    },

    switchover: switchover(from),
    failover: failover(from),

    steps: {
      installed: (of, shell, _permit, signal) => install(hostOf(of, shell, signal)),
      up: (of, shell, _permit, signal) => start(hostOf(of, shell, signal)),
      replicating: (of, shell, permit, signal, among) => bringIntoReplication(of, { shell, from, permit, among, signal }),
      configure: (of, shell, _permit, signal) => configure(hostOf(of, shell, signal)),
      stop: (of, shell, _permit, signal) => stop(hostOf(of, shell, signal)),
      remove: (of, shell, permit, signal) => remove(hostOf(of, shell, signal), permit),
      async restart(of, shell, permit, signal, among) {
        const host = hostOf(of, shell, signal);
        const before = await readStatus(from, of, signal);
        await stop(host);
        await start(host);
        // Who is wanted as a master and was one goes on as one; who was read-only stays so.
        const wasWriting = before.kind === 'sound' && !before.status.isReadOnly;
        if (wasWriting && of.status !== 'slave') await bringIntoReplication(of, { shell, from, permit, among, signal });
      },
    },
  });
}

/** The driver puts the instant of its reading in place of ours. */
const seen = ({ name }: Mariadb): Pick<ServiceFacts, 'name' | 'readAt'> => ({ name, readAt: asInstant(Date.now()) });

type Seen = Omit<ServiceFacts, 'name' | 'readAt'>;

function judged(of: Mariadb, status: ServerStatus, among: Neighbours): Seen {
  if (status.serverId !== serverIdOf(of)) {
    const reason = `another server answers at ${of.ip}:${of.settings.port}: its id is ${status.serverId}, not ${serverIdOf(of)}`;
    return { code: 'ER0003', holds: { up: false }, reason };
  }
  const master = masterOf(of, among);
  const obstacle = obstacleOf(of, status, master);
  const following = of.status === 'slave' && master ? followingOf(status, master) : null;
  const lagMs = status.replica?.lagMs ?? null;
  const isOutdated = status.startedWith !== null && status.startedWith !== optionsMark(of);
  const reason = obstacle ?? (isOutdated ? OUTDATED : null);
  return {
    code: '000000',
    holds: { installed: true, up: true, replicating: obstacle === null },
    runId: status.runId,
    role: roleOf(of, status),
    ...(lagMs === null ? {} : { lagMs }),
    ...(following && { following }),
    ...(reason === null ? {} : { reason }),
  };
}

const OUTDATED = 'its settings have changed since it was started; a restart puts its options in force';

async function lookAt(of: Mariadb, shell: Shell, signal: AbortSignal): Promise<Seen> {
  const said = scrubber(secretsOf(of)).scrub(await hostOf(of, shell, signal).run('look at', LOOK));
  const [state, why] = said.trim().split(/ (.*)/s);
  const refused = `port ${of.settings.port} refuses connections`;
  switch (state) {
    case 'uninstalled':
      return { code: 'ER0024', holds: { installed: false, up: false } };
    case 'stopped':
      return { code: 'ER0023', holds: { installed: true, up: false } };
    case 'died':
      return { code: 'ER0023', holds: { installed: true, up: false }, reason: excerpt(`its process is gone. ${why ?? ''}`) };
    case 'starting':
      return { code: 'ER0019', holds: { installed: true, up: false }, reason: `it runs, and does not listen yet: ${refused}` };
    default:
      return { code: 'ER0003', holds: { installed: true, up: false }, reason: `it is ${excerpt(said)}, yet ${refused}` };
  }
}
