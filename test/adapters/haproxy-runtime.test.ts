import { once } from 'node:events';
import { existsSync, readdirSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { haproxyRuntime } from 'fleetbeat/adapters/services/haproxy';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Shell } from '../../src/contracts.ts';
import { asToken } from '../../src/domain/identity.ts';
import type { Service } from '../../src/domain/service.ts';
import { isThorough } from '../properties/runs.ts';
import { type BalancerStage, balancerStage, greetingDatabase } from '../support/balancer-stage.ts';
import { serviceOf } from '../support/host-stage.ts';
import type { MysqlGreeter } from '../support/mysql-greeter.ts';
import { serverFolder } from '../support/run-folder.ts';
import { freePort, requires } from '../support/servers.ts';

const never = new AbortController().signal;

requires('haproxy')('a haproxy that runs', () => {
  let stage: BalancerStage;
  beforeEach(async () => {
    stage = await balancerStage();
  });
  afterEach(() => stage.close());

  test('loses no connection by being reloaded under load', async () => {
    await stage.start();
    const outcome = { greeted: 0, failed: 0 };
    let isLoaded = true;
    const load = Array.from({ length: 8 }, async () => {
      while (isLoaded)
        await stage.greet(stage.writes).then(
          () => outcome.greeted++,
          () => outcome.failed++,
        );
    });
    const kept = connect(stage.writes, stage.host.address);
    await once(kept, 'data');
    for (let round = 0; round < 5; round++) {
      stage.cluster(['master', 'slave', round % 2 ? 'slave' : 'discard']);
      expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    }
    const soFar = outcome.greeted;
    await expect.poll(() => outcome.greeted).toBeGreaterThan(soFar + 300);
    isLoaded = false;
    await Promise.all(load);
    expect(outcome.failed).toBe(0);
    expect(outcome.greeted).toBeGreaterThan(300);
    expect(kept.closed).toBe(false);
    kept.destroy();
  });

  test('that is drained of a backend stays so over a reload, and takes it again when it is told to', async () => {
    await stage.start();
    const runtime = haproxyRuntime(stage.lb, stage.shell);
    await runtime.drain('db2', never);
    await expect.poll(stage.routes).toEqual(['db1', 'db3']);
    stage.cluster(['master', 'slave', 'slave'], [stage.balancer({ stats: await freePort(stage.host.address) })]);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    await expect.poll(stage.routes).toEqual(['db1', 'db3']);
    await expect.poll(() => stage.greetedBy(stage.reads, 10)).toEqual(['db3']);

    await runtime.maintain('db3', never);
    await expect.poll(stage.routes).toEqual(['db1']);
    await runtime.ready('db2', never);
    await runtime.ready('db3', never);
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
    await runtime.weigh('db2', 0, never);
    await expect.poll(stage.routes).toEqual(['db1', 'db3']);
    await runtime.weigh('db2', 100, never);
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
  });

  test('takes a backend at its new address after a reload, whatever it knew of the old one', async () => {
    await stage.start();
    stage.databases = [stage.databases[0], stage.databases[2], stage.databases[1]] as readonly MysqlGreeter[];
    stage.cluster(['slave', 'master', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
    await expect.poll(() => stage.greetedBy(stage.writes, 5)).toEqual(['db3']);
    stage.databases = [stage.databases[0], stage.databases[2], stage.databases[1]] as readonly MysqlGreeter[];
  });

  test('cuts the connections to a backend, also those from before a reload', async () => {
    await stage.start();
    const old = connect(stage.writes, stage.host.address);
    await once(old, 'data');
    stage.cluster(['master', 'slave', 'discard']);
    await stage.perform('lb1', { step: 'routed' });
    const recent = connect(stage.writes, stage.host.address);
    await once(recent, 'data');
    const ended = Promise.all([old, recent].map((socket) => once(socket, 'close')));
    for (const socket of [old, recent]) socket.resume().on('error', () => socket.destroy());
    await haproxyRuntime(stage.lb, stage.shell).cut('db1', never);
    await ended;
    await expect.poll(() => stage.greetedBy(stage.writes, 3)).toEqual(['db1']);
  });

  test('lets go of those who write to whoever is the master no more, and of nobody else', async () => {
    await stage.start();
    const [writer, reader] = [connect(stage.writes, stage.host.address), connect(stage.reads, stage.host.address)];
    for (const socket of [writer, reader]) {
      await once(socket, 'data');
      socket.resume().on('error', () => socket.destroy());
    }
    stage.cluster(['slave', 'master', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    const ended = once(writer, 'close');
    const permit = { token: asToken('t'), fence: 1, valid: () => true };
    await stage.kind.release?.(stage.lb as Service<never>, stage.shell, permit, never, stage.among);
    await ended;
    expect(reader.closed).toBe(false);
    reader.destroy();
    await expect.poll(() => stage.greetedBy(stage.writes, 3)).toEqual(['db2']);
  });

  test('is told nothing about a backend that it does not have, or that is no name', async () => {
    await stage.start();
    const runtime = haproxyRuntime(stage.lb, stage.shell);
    await expect(runtime.drain('db9', never)).rejects.toMatchObject({ code: 'ER0205' });
    await expect(runtime.drain('db1 state maint; shutdown', never)).rejects.toMatchObject({ code: 'ER0222' });
    await expect(runtime.weigh('db1', 101, never)).rejects.toMatchObject({ code: 'ER0222' });
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
    const other = serviceOf(greetingDatabase, 'db1', stage.host.address, { settings: { port: 1 } });
    expect(() => haproxyRuntime(other, stage.shell)).toThrow(expect.objectContaining({ code: 'ER0204' }));
  });

  for (const client of isThorough ? (['socat', 'perl', 'python3'] as const) : (['perl'] as const))
    requires(client)(`on a host that has ${client} to talk to it`, () => {
      test('is looked at, reloaded and told what to do', async () => {
        const path = pathWithout(...['socat', 'perl', 'python3'].filter((one) => one !== client));
        const shell: Shell = {
          ...stage.shell,
          run: (ip, argv, options, signal) => stage.shell.run(ip, ['env', `PATH=${path}`, ...argv], options, signal),
        };
        const permit = { token: asToken('t'), fence: 1, valid: () => true };
        const of = stage.lb as Service<never>;
        await stage.kind.steps.installed?.(of, shell, permit, never, stage.among);
        await stage.kind.steps.up?.(of, shell, permit, never, stage.among);
        const routes = async () => (await stage.kind.probe(of, shell, never, stage.among)).routes;
        await expect.poll(routes).toEqual(['db1', 'db2', 'db3']);
        await haproxyRuntime(stage.lb, shell).drain('db3', never);
        await expect.poll(routes).toEqual(['db1', 'db2']);
        stage.cluster(['master', 'slave', 'discard']);
        await stage.kind.route?.(of, shell, permit, never, stage.among);
        expect(await stage.kind.probe(of, shell, never, stage.among)).toMatchObject({ holds: { up: true, routed: true } });
        await haproxyRuntime(stage.lb, shell).cut('db1', never);
      });
    });

  test('is not installed on a host that has nothing to talk to it', async () => {
    const path = pathWithout('socat', 'perl', 'python3');
    const shell: Shell = {
      ...stage.shell,
      run: (ip, argv, options, signal) => stage.shell.run(ip, ['env', `PATH=${path}`, ...argv], options, signal),
    };
    const permit = { token: asToken('t'), fence: 1, valid: () => true };
    await expect(
      stage.kind.steps.installed?.(stage.lb as Service<never>, shell, permit, never, stage.among),
    ).rejects.toMatchObject({
      code: 'ER0018',
      message: expect.stringContaining('none of socat, perl and python3'),
    });
    expect(readdirSync(stage.folder)).toEqual([]);
  });

  /** A folder with all programs of this machine but these. */
  function pathWithout(...programs: readonly string[]): string {
    const folder = serverFolder('path');
    for (const bin of ['/usr/bin', '/usr/sbin'])
      for (const name of readdirSync(bin))
        if (!programs.includes(name) && !existsSync(join(folder, name))) symlinkSync(join(bin, name), join(folder, name));
    return folder;
  }
});
