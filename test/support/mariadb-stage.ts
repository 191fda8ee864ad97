import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mariadb, secret } from 'fleetbeat/adapters/services/mariadb';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import type { AnyServiceKind, PermittedCall, ServiceDriver } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Role, Service, ServiceFacts, ServiceVerb } from '../../src/domain/service.ts';
import { overShell } from '../../src/drivers/over-shell.ts';
import { isSameProcess, killFamily, startedAt, stopFamily } from './process-table.ts';
import { freePort } from './server-process.ts';
import { makeSshKey } from './ssh-keys.ts';
import { type SshdServer, startSshd } from './sshd-server.ts';

export const MONITOR_PASSWORD = 'monitors only';
export const REPLICATION_PASSWORD = `it's "replica" \\ 100 %`;

const never = new AbortController().signal;

/** MariaDBs on hosts of this machine, each an address with an sshd of its own. All is on tmpfs where there is one. */
export interface MariadbStage {
  readonly kind: AnyServiceKind;
  readonly shell: SshShell;
  readonly folder: string;
  readonly hosts: readonly SshdServer[];
  /** A service on the host of that number. */
  service(name: string, host: number, status: Role, settings?: object): Promise<Service>;
  /** The settings of a service as they were before its kind read them. */
  raw(name: string): object;
  /** Puts the data of a new installation where a service has it, as the step would. */
  installed(...services: readonly Service[]): void;
  /** A driver of these services and no others. */
  driver(...services: readonly Service[]): ServiceDriver;
  /** The pid of a service's server. */
  pid(name: string): number;
  freeze(name: string): void;
  thaw(name: string): void;
  kill(name: string): void;
  /** SQL as the administrator. */
  sql(name: string, statements: string): string;
  /** Ends the servers and removes their data. */
  clear(): void;
  close(): Promise<void>;
}

export async function mariadbStage(addresses: readonly string[]): Promise<MariadbStage> {
  const user = makeSshKey();
  const folder = newFolder();
  const hosts = await Promise.all(addresses.map((address) => startSshd({ address, authorizedKeys: [user.publicKey] })));
  const shell = ssh({
    username: hosts[0]?.username ?? 'root',
    privateKey: user.privateKey,
    port: new Map(hosts.map(({ address, port }) => [address, port])),
    knownHosts: hosts.map((host) => host.knownHostsLine()).join('\n'),
    silentMs: 1000,
  });
  const kind = mariadb();
  const template = join(folder, 'template');
  const places = new Map<string, string>();
  const given = new Map<string, object>();

  const driver = (...services: readonly Service[]): ServiceDriver => {
    const opened = overShell([kind], shell);
    opened.bind?.(services);
    return opened;
  };

  const service: MariadbStage['service'] = async (name, host, status, settings = {}) => {
    const ip = asIp(addresses[host] ?? '');
    const raw = {
      port: await freePort(ip),
      dataDir: join(folder, name),
      memoryMb: 8,
      // What makes a server small.
      options: { performance_schema: false, innodb_log_file_size: 4_194_304, innodb_buffer_pool_chunk_size: 1_048_576 },
      monitor: { password: secret(MONITOR_PASSWORD) },
      replication: { password: secret(REPLICATION_PASSWORD) },
      startMs: 15_000,
      stopMs: 15_000,
      ...settings,
    };
    given.set(name, raw);
    places.set(name, raw.dataDir);
    return { name, ip, mode: 'mariadb', status, cluster: 'shop', settings: kind.settings(raw) };
  };

  const stage: MariadbStage = {
    kind,
    shell,
    folder,
    hosts,
    service,
    driver,
    raw: (name) => given.get(name) ?? {},
    installed(...services) {
      for (const { name } of services) {
        const dataDir = places.get(name) ?? '';
        execFileSync('cp', ['-a', '--', template, dataDir]);
        writeFileSync(join(dataDir, '.fleetbeat-mariadb'), `${name}\n`);
      }
    },
    pid: (name) => Number(readFileSync(join(places.get(name) ?? '', 'pid'), 'utf8')),
    freeze: (name) => stopFamily(stage.pid(name)),
    thaw: (name) => void process.kill(stage.pid(name), 'SIGCONT'),
    kill: (name) => killFamily(stage.pid(name)),
    sql: (name, statements) =>
      execFileSync('mariadb', ['--no-defaults', `--socket=${places.get(name)}/run/mariadb.sock`, '--batch', '-N'], {
        input: statements,
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'pipe'],
      }).trim(),
    clear() {
      endServersIn(folder);
      for (const name of readdirSync(folder))
        if (name !== 'template' && name !== 'owner') rmSync(join(folder, name), { recursive: true, force: true });
    },
    async close() {
      await shell.close();
      await Promise.all(hosts.map((host) => host.stop()));
      endServersIn(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const [problem] = await perform(driver(await service('template', 0, 'standalone')), ['template', 'install']);
  if (problem) throw new Error(problem.message);
  return stage;
}

export type Ask = readonly [name: string, verb: ServiceVerb, token?: string];

export const callTo = ([name, verb, token = `${verb}-${Math.random()}`]: Ask, valid = () => true): PermittedCall => ({
  call: { do: { level: 'services', name, verb } },
  permit: { token: asToken(token), fence: 1, valid },
});

/** What came of calls, one after the other where they are about one service. */
export const perform = (driver: ServiceDriver, ...asks: readonly Ask[]) =>
  driver.perform(
    asks.map((ask) => callTo(ask)),
    never,
  );

/** What is seen of one service. */
export async function look(driver: ServiceDriver, name: string): Promise<ServiceFacts> {
  const { items } = await driver.observe({ now: asInstant(1000), maxAgeMs: 0 }, never);
  const found = items.find((facts) => facts.name === name);
  if (!found) throw new TypeError(`${name} was not read`);
  return found;
}

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

const PREFIX = 'fleetbeat-mariadb-';
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Its owner stands in it, so that whoever comes later can tell what a killed run has left behind. */
function newFolder(): string {
  for (const name of readdirSync(place)) if (name.startsWith(PREFIX)) reap(join(place, name));
  const folder = mkdtempSync(join(place, PREFIX));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'owner'), `${process.pid} ${startedAt(process.pid)}`);
  process.once('exit', () => {
    endServersIn(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function reap(folder: string): void {
  const owner = join(folder, 'owner');
  if (!existsSync(owner)) return;
  const [pid, start] = readFileSync(owner, 'utf8').split(' ');
  if (!start || isSameProcess(Number(pid), start)) return;
  endServersIn(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** Whatever runs with an option file in that folder. */
function endServersIn(folder: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    if (commandLineOf(pid).includes(`--defaults-file=${folder}/`)) killFamily(Number(pid));
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}
