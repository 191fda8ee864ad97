import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asInstant, asToken, type EntityKey, type Ip, type Neighbours, overShell, type PermittedCall, parseIp } from 'fleetbeat';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import type { AnyServiceKind, ServiceDriver, ServiceStep } from '../../src/contracts.ts';
import type { Role, Service, ServiceFacts, ServiceVerb } from '../../src/domain/service.ts';
import { sendSignal } from './process-table.ts';
import { makeSshKey, type SshdServer, startSshd } from './servers.ts';

/** Services on a host that is reached over ssh, each in a folder of this stage. */
export interface HostStage {
  readonly shell: SshShell;
  readonly host: SshdServer;
  readonly folder: string;
  readonly among: Neighbours;
  /** Configures services, in place of those that were. */
  configure(services: readonly Service[]): void;
  look(name: string): Promise<ServiceFacts>;
  perform(name: string, ...what: readonly (ServiceVerb | { readonly step: ServiceStep })[]): Promise<readonly unknown[]>;
  /** Ends what still runs in the folder, and the folder. */
  close(): Promise<void>;
}

export async function hostStage(kinds: readonly AnyServiceKind[], address: string): Promise<HostStage> {
  const user = makeSshKey();
  const host = await startSshd({ address, authorizedKeys: [user.publicKey] });
  const { username, port } = host;
  const shell = ssh({ username, port, privateKey: user.privateKey, knownHosts: host.knownHostsLine(), silentMs: 2000 });
  const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-host-'));
  let services: readonly Service[] = [];
  const among: Neighbours = { view: (_: EntityKey) => undefined, services: () => services };
  let driver: ServiceDriver;
  const never = new AbortController().signal;
  return {
    shell,
    host,
    folder,
    among,
    configure(configured) {
      services = configured;
      driver = overShell(kinds, shell);
      driver.bind?.(configured, among);
    },
    async look(name) {
      const { items } = await driver.observe({ now: asInstant(1000), maxAgeMs: 0 }, never);
      const facts = items.find((one) => one.name === name);
      if (!facts) throw new TypeError(`nothing was read of ${name}`);
      return facts;
    },
    perform: (name, ...what) =>
      driver.perform(
        what.map((one) => callTo(name, one)),
        never,
      ),
    async close() {
      await shell.close();
      await host.stop();
      for (const pid of processesIn(folder)) sendSignal(pid, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function callTo(
  name: string,
  what: ServiceVerb | { readonly step: ServiceStep },
  valid: () => boolean = () => true,
): PermittedCall {
  const verb = typeof what === 'string' ? what : 'start';
  return {
    call: { do: { level: 'services', name, verb }, ...(typeof what === 'object' && what) },
    permit: { token: asToken(crypto.randomUUID()), fence: 1, valid },
  };
}

/** A service as its kind reads it. */
export function serviceOf(
  kind: AnyServiceKind,
  name: string,
  ip: string,
  more: { readonly status?: Role; readonly cluster?: string; readonly settings?: object } = {},
): Service {
  const { status = 'standalone', cluster = 'shop', settings } = more;
  return { name, ip: parseIp(ip) as Ip, mode: kind.mode, status, cluster, settings: kind.settings(settings) };
}

/** The processes that were started with a path in a folder. */
export function processesIn(folder: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${folder}/`);
      } catch {
        return false;
      }
    })
    .map(Number);
}
