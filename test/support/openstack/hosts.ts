import { setTimeout as pause } from 'node:timers/promises';
import type { Machines } from '../machines.ts';
import type { As } from './keystone-client.ts';

const EVERY_MS = 200;

/** A server, as Nova has it. */
export interface NovaServer {
  readonly id: string;
  readonly ip: string | undefined;
  readonly status: string;
}

/** The hosts of an OpenStack whose hypervisor boots nothing: a machine for each server, which is on while Nova says ACTIVE. */
export interface Hosts {
  /** What Nova said of an address, one word after the other, `none` at first and where it had no server. */
  history(ip: string): readonly string[];
  /** Throws what went wrong meanwhile. */
  stop(): Promise<void>;
}

/** All servers of a project, by a look at Nova that is not fleetbeat's. */
export async function serversOf(project: As, novaUrl: string): Promise<readonly NovaServer[]> {
  const { servers } = (await project('GET', `${novaUrl}/servers/detail`)) as { readonly servers: readonly Detail[] };
  return servers.map(({ id, status, addresses }) => ({ id, status, ip: Object.values(addresses).flat()[0]?.addr }));
}

interface Detail {
  readonly id: string;
  readonly status: string;
  readonly addresses: Readonly<Record<string, readonly { readonly addr: string }[]>>;
}

/** Switches the machines of these addresses as Nova says, until it is stopped. A server that is gone takes its disk with it. */
export function hostsOf(project: As, novaUrl: string, machines: Machines, ips: readonly string[]): Hosts {
  const histories = new Map(ips.map((ip) => [ip, ['none']]));
  const stopped = new AbortController();

  async function follow(ip: string, status: string): Promise<void> {
    const history = histories.get(ip) ?? [];
    if (history.at(-1) === status) return;
    history.push(status);
    const machine = machines.at(ip);
    if (status === 'ACTIVE') await machine.boot();
    else if (status === 'none') await machine.destroy();
    else await machine.off();
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const servers = await serversOf(project, novaUrl);
      for (const ip of ips) await follow(ip, servers.find((server) => server.ip === ip)?.status ?? 'none');
      await pause(EVERY_MS);
    }
  }

  const running = run();
  running.catch(() => {});
  return {
    history: (ip) => histories.get(ip) ?? [],
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
