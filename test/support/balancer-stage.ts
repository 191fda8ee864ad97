import { connect } from 'node:net';
import { join } from 'node:path';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { expect } from 'vitest';
import { type AnyServiceKind, defineServiceKind } from '../../src/contracts.ts';
import { asInstant } from '../../src/domain/identity.ts';
import type { Role, Service } from '../../src/domain/service.ts';
import { type HostStage, hostStage, serviceOf } from './host-stage.ts';
import { type MysqlGreeter, nameIn, startMysqlGreeter } from './mysql-greeter.ts';
import { freePort, loopback } from './servers.ts';

/** A haproxy `lb1` on a host, and three that greet as databases do; the kind of `lb1` is the real one. */
export interface BalancerStage extends HostStage {
  readonly kind: AnyServiceKind;
  readonly writes: number;
  readonly reads: number;
  /** `db1` to `db3`, in their order. */
  databases: readonly MysqlGreeter[];
  lb: Service;
  /** A balancer with these settings beside those of the stage. */
  balancer(settings?: object): Service;
  /** Configures `lb1`, or others, and as many databases as there are roles. */
  cluster(roles: readonly Role[], balancers?: readonly Service[]): void;
  /** Installs and starts `lb1`, and waits until it routes to somebody. */
  start(): Promise<void>;
  routes(): Promise<readonly string[]>;
  /** The name of whoever answers at a port of the balancer. */
  greet(port: number): Promise<string>;
  /** Who answers there, each once. */
  greetedBy(port: number, times: number): Promise<readonly string[]>;
}

/** A database as far as a balancer is concerned. */
export const greetingDatabase = defineServiceKind<{ readonly port: number }>({
  mode: 'mariadb',
  host: 'managed',
  ladder: ['installed', 'up', 'routed'],
  settings: (raw) => raw as { readonly port: number },
  probe: async ({ name }) => ({ name, readAt: asInstant(0), code: '000000', holds: { installed: true, up: true } }),
  steps: {},
});

export async function balancerStage(): Promise<BalancerStage> {
  const kind = haproxy();
  const host = await hostStage([kind, greetingDatabase, memcache()], loopback(1));
  const { address } = host.host;
  const [writes, reads] = [await freePort(address), await freePort(address)];
  const greeters = await Promise.all(['db1', 'db2', 'db3'].map((name, i) => startMysqlGreeter(loopback(11 + i), name)));
  const balancer = (settings: object = {}): Service =>
    serviceOf(kind, 'lb1', address, {
      settings: { writes, reads, dataDir: join(host.folder, 'lb1'), checkMs: 100, ...settings },
    });

  const stage: BalancerStage = {
    ...host,
    kind,
    writes,
    reads,
    databases: greeters,
    lb: balancer(),
    balancer,
    cluster: (roles, balancers = [stage.lb]) =>
      host.configure([
        ...balancers,
        ...roles.map((status, i) => {
          const { host: ip = '', port } = stage.databases[i] ?? {};
          return serviceOf(greetingDatabase, `db${i + 1}`, ip, { status, settings: { port } });
        }),
      ]),
    async start() {
      expect(await stage.perform('lb1', 'install', 'start')).toEqual([null, null]);
      await expect.poll(async () => (await stage.routes()).length).toBeGreaterThan(0);
    },
    routes: async () => (await stage.look('lb1')).routes ?? [],
    greet: (port) =>
      new Promise((resolve, reject) => {
        const socket = connect(port, address);
        socket.once('data', (bytes) => {
          resolve(nameIn(bytes));
          socket.end();
        });
        socket.on('error', reject);
        socket.on('close', () => reject(new Error('closed without a greeting')));
      }),
    async greetedBy(port, times) {
      const names = new Set<string>();
      for (let i = 0; i < times; i++) names.add(await stage.greet(port));
      return [...names].sort();
    },
    async close() {
      await host.close();
      await Promise.all(greeters.map((one) => one.stop()));
    },
  };
  stage.cluster(['master', 'slave', 'slave']);
  return stage;
}
