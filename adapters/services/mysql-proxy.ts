import { type AnyServiceKind, defineServiceKind, type Neighbours } from '../../src/contracts.ts';
import { asInstant } from '../../src/domain/identity.ts';
import type { Service, ServiceFacts } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import { haproxyOf, namesIn } from '../haproxy/cluster.ts';
import { type Backend, written } from '../haproxy/configuration.ts';
import { apply, type Haproxy, look, remove, stop } from '../haproxy/program.ts';
import { release } from '../haproxy/runtime.ts';
import { dataDirOf, type ProgramSettings, programSettings } from '../haproxy/settings.ts';
import { fieldsOf, isText } from '../host/settings.ts';
import { type Answered, askThrough, type Monitor } from './mysql-proxy/question.ts';

export { type Secret, secret } from '../http/secret.ts';
export { type Answered, askThrough, type Monitor } from './mysql-proxy/question.ts';

export interface MysqlProxySettings extends ProgramSettings {
  /** Who asks through it which server answers. Its user is `fleetbeat_monitor` by default. */
  readonly monitor: Monitor;
}

export interface MysqlProxyOptions {
  /** Where a password `{ env: 'NAME' }` is found. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** How long a question through it may take. */
const QUESTION_MS = 2000;

type MysqlProxy = Service<MysqlProxySettings>;

/**
 * The service kind of mode `mysql-proxy`: a proxy for the databases of its cluster, believed only for what is answered through it.
 *
 * It is a haproxy in a directory of its own, configured and reloaded as the kind `haproxy` is. Its probe asks through each of its
 * ports which server answers there: through the one for writes it has to be a master of its cluster that takes writes, or none of
 * the masters is among its `routes`. Where it answers at none of its ports, though haproxy has a backend up, it fails with the
 * reason. For a proxy of another make, `askThrough` is the probe of a kind of your own.
 *
 * @example
 * ```ts
 * createFleet({
 *   kinds: [mariadb(), mysqlProxy()],
 *   services: [
 *     { name: 'proxy1', ip: '10.0.0.107', mode: 'mysql-proxy', status: 'standalone', cluster: 'shop',
 *       settings: { monitor: { password: secret(process.env.MONITOR_PASSWORD) } } },
 *     …
 *   ],
 *   …
 * });
 * ```
 */
export const mysqlProxy = ({ env = process.env }: MysqlProxyOptions = {}): AnyServiceKind =>
  defineServiceKind<MysqlProxySettings>({
    mode: 'mysql-proxy',
    host: 'managed',
    ladder: ['installed', 'up', 'routed'],
    settings: (raw) => readSettings(raw, env),

    async probe(of, shell, signal, among) {
      const program = wantedOf(of, among);
      // The driver puts the instant of its reading in place of ours.
      const facts = { name: of.name, readAt: asInstant(Date.now()), ...(await look(program, shell, signal)) };
      const verdictOf = async (name: 'writes' | 'reads'): Promise<Verdict> => {
        const backends = program.wanted.listeners.find((listener) => listener.name === name)?.backends ?? [];
        // Behind a port where haproxy has nobody up, a question would only wait for its retries.
        if (!backends.some((one) => facts.routes?.includes(one.name))) return { is: 'idle' };
        const answered = await ask(of, of.settings[name], signal);
        return answered === null ? { is: 'idle' } : judgePort(name, answered, backends, among);
      };
      return judge(facts, await Promise.all([verdictOf('writes'), verdictOf('reads')]));
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

const wantedOf = (of: MysqlProxy, among: Neighbours): Haproxy => haproxyOf(of, null, among);

/** Through its own address where it listens there: one that moves may be on another host. */
async function ask({ ip, settings }: MysqlProxy, port: number | null, signal: AbortSignal): Promise<Answered | null> {
  if (port === null) return null;
  const { addresses, monitor } = settings;
  const [address] = addresses === null || addresses.includes('*') || addresses.includes(ip) ? [ip] : addresses;
  return askThrough(address ?? ip, port, monitor, QUESTION_MS, signal);
}

/** What a question through a port came to; where haproxy has nobody up, none was expected. */
type Verdict =
  | { readonly is: 'idle' }
  | { readonly is: 'right' }
  /** No answer, or that of another: its backends are not routed to, the reason says why. */
  | { readonly is: 'mute' | 'wrong'; readonly reason: string; readonly without: readonly string[] };

/** haproxy knows who is up; who answers, and whether it may be written to, is known only from the answer. */
function judgePort(name: 'writes' | 'reads', answered: Answered, backends: readonly Backend[], among: Neighbours): Verdict {
  // Those that stand in for others are routed to elsewhere, or by nobody.
  const without = backends.filter(({ isBackup }) => !isBackup).map((backend) => backend.name);
  if (answered.by === 'nobody') return { is: 'mute', reason: answered.reason, without };
  const backend = backends.find((one) => isAnswerOf(one, answered, among));
  if (!backend) {
    const who = answered.reportedAs ?? `server id ${answered.serverId}`;
    const names = backends.map((one) => one.name).join(', ');
    return { is: 'wrong', reason: `${name} are answered by ${who}, which is none of ${names}`, without };
  }
  if (name === 'reads' || !answered.isReadOnly) return { is: 'right' };
  return { is: 'wrong', reason: `writes are answered by ${backend.name}, which is read-only`, without };
}

type Answer = Extract<Answered, { by: 'server' }>;

function isAnswerOf({ name, ip, port }: Backend, { serverId, reportedAs }: Answer, among: Neighbours): boolean {
  const settings = among.services().find((service) => service.name === name)?.settings;
  const known = typeof settings === 'object' && settings !== null && 'serverId' in settings ? settings.serverId : null;
  return typeof known === 'number' ? known === serverId : reportedAs === `${ip}:${port}`;
}

/** It fails where it answers at none of its ports; where only some are wrong, those that answer there are not routed to. */
function judge(facts: ServiceFacts, verdicts: readonly Verdict[]): ServiceFacts {
  const faults = verdicts.flatMap((verdict) => ('without' in verdict ? [verdict] : []));
  if (facts.code !== '000000' || faults.length === 0) return facts;
  const reason = [...faults.map((fault) => fault.reason), facts.reason].filter(Boolean).join('; ');
  const without = new Set(faults.flatMap((fault) => fault.without));
  const routes = facts.routes?.filter((name) => !without.has(name)) ?? [];
  const asked = verdicts.filter(({ is }) => is !== 'idle');
  if (asked.every(({ is }) => is === 'mute'))
    return { ...facts, code: 'ER0003', holds: { ...facts.holds, up: false, routed: false }, routes: [], reason };
  return { ...facts, routes, reason };
}

function readSettings(raw: unknown, env: Readonly<Record<string, string | undefined>>): MysqlProxySettings {
  const fields = fieldsOf(raw, 'mysql-proxy', env);
  const program = programSettings(fields);
  const monitor = fieldsOf(fields.take<object>('monitor', {}, isObject, '{ user, password }'), "mysql-proxy's monitor", env);
  const password = monitor.takeSecret('password');
  const settings: MysqlProxySettings = {
    ...program,
    monitor: {
      user: monitor.take('user', 'fleetbeat_monitor', isText(/^[A-Za-z_][A-Za-z0-9_.-]{0,79}$/), 'the name of a user'),
      password: password ?? missingPassword(),
    },
  };
  monitor.end();
  fields.end();
  return settings;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

function missingPassword(): never {
  throw new FleetError(
    'ER0230',
    "the settings of a mysql-proxy have as 'monitor.password' a secret, or { env: 'NAME' }, found none",
  );
}
