import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BalancerStage, balancerStage } from '../support/balancer-stage.ts';
import { requires } from '../support/servers.ts';

requires('haproxy')('a haproxy that is told to bring its configuration in line', () => {
  let stage: BalancerStage;
  beforeEach(async () => {
    stage = await balancerStage();
  });
  afterEach(() => stage.close());

  const configPath = () => join(stage.folder, 'lb1', 'haproxy.cfg');
  /** How many times its master has read a configuration. */
  const reloads = async (): Promise<string | undefined> => {
    const socket = connect(join(stage.folder, 'lb1', 'master.sock'));
    socket.end('show proc\n');
    return /^\d+ +master +(\d+)/m.exec(await text(socket))?.[1];
  };
  const files = () =>
    readdirSync(join(stage.folder, 'lb1')).map((name) => {
      const { ino, mtimeMs } = statSync(join(stage.folder, 'lb1', name));
      return [name, ino, mtimeMs];
    });

  test('mends a file that was changed by hand, keeps its process and its connections, and does nothing the next time', async () => {
    await stage.start();
    const wanted = readFileSync(configPath(), 'utf8');
    const { runId } = await stage.look('lb1');
    const open = connect(stage.writes, stage.host.address).setEncoding('latin1');
    await once(open, 'data');
    writeFileSync(configPath(), 'global\n    listen nonsense\n');
    expect(await stage.look('lb1')).toMatchObject({ configured: false });

    expect(await stage.perform('lb1', 'bootstrap_config')).toEqual([null]);
    expect(readFileSync(configPath(), 'utf8')).toBe(wanted);
    expect(statSync(configPath()).mode & 0o777).toBe(0o600);
    expect(await stage.look('lb1')).toMatchObject({ code: '000000', configured: true, holds: { routed: true }, runId });
    await new Promise((resolve) => open.write('still there?', resolve));
    expect([open.readyState, open.destroyed]).toEqual(['open', false]);

    const [before, counted] = [files(), await reloads()];
    expect(await stage.perform('lb1', 'bootstrap_config')).toEqual([null]);
    expect(counted).toMatch(/^[1-9]/);
    expect([files(), await reloads()]).toEqual([before, counted]);
    open.destroy();
  });

  test('takes the wanted one over also where it was made to read another one of the same version', async () => {
    await stage.start();
    const wanted = readFileSync(configPath(), 'utf8');
    writeFileSync(configPath(), wanted.replaceAll(/^ {4}server db1 .*$/gm, ''));
    process.kill(Number(readFileSync(join(stage.folder, 'lb1', 'haproxy.pid'), 'utf8')), 'SIGUSR2');
    await expect.poll(stage.routes).not.toContain('db1');
    expect(await stage.perform('lb1', 'bootstrap_config')).toEqual([null]);
    await expect.poll(stage.routes).toContain('db1');
    expect(readFileSync(configPath(), 'utf8')).toBe(wanted);
  });

  test('follows its cluster, and starts nothing where it is stopped', async () => {
    await stage.perform('lb1', 'install');
    stage.cluster(['slave', 'master', 'slave']);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', configured: false });
    expect(await stage.perform('lb1', 'bootstrap_config')).toEqual([null]);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', configured: true });
  });

  test('is refused where it is not installed, and for a kind that has none', async () => {
    expect(await stage.perform('lb1', 'bootstrap_config')).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('is not installed') },
    ]);
    expect(readdirSync(stage.folder)).toEqual([]);
    expect(await stage.perform('db1', 'bootstrap_config')).toMatchObject([
      { code: 'ER0202', message: expect.stringContaining("a mariadb has no step 'configure'") },
    ]);
  });
});
