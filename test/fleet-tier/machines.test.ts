import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Machine, type Machines, startMachines } from '../support/machines.ts';
import { serverFolder } from '../support/run-folder.ts';
import { makeSshKey, requiresMachines } from '../support/servers.ts';

const [A, B, C] = ['10.0.0.101', '10.0.0.102', '10.0.0.103'] as const;

requiresMachines('machines that boot', () => {
  const user = makeSshKey();
  let machines: Machines;
  beforeAll(async () => {
    machines = await startMachines({ ips: [A, B, C], authorizedKeys: [user.publicKey] });
  });
  afterEach(async () => {
    for (const ip of [A, B, C]) {
      machines.at(ip).heal();
      await machines.at(ip).destroy();
    }
  });
  afterAll(() => machines?.stop());

  /** Debian's own client, so that nothing of ours judges itself. */
  async function ssh(ip: string, ...command: readonly string[]): Promise<string> {
    const knownHosts = join(serverFolder('known-hosts'), 'known_hosts');
    writeFileSync(knownHosts, `${machines.knownHosts()}\n`);
    const options = { BatchMode: 'yes', ConnectTimeout: '1', StrictHostKeyChecking: 'yes', UserKnownHostsFile: knownHosts };
    const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const { stdout } = await promisify(execFile)('ssh', [...args, '-F', 'none', '-i', user.path, `root@${ip}`, ...command]);
    return stdout.trim();
  }
  const answers = (ip: string) =>
    ssh(ip, 'true').then(
      () => true,
      () => false,
    );

  async function booted(ip: string): Promise<Machine> {
    const machine = machines.at(ip);
    await machine.boot();
    await expect.poll(() => answers(ip)).toBe(true);
    return machine;
  }

  test('a machine that is booted answers over ssh, with a hostname, processes and a host key of its own', async () => {
    expect(await answers(A)).toBe(false);
    await Promise.all([booted(A), booted(B)]);
    expect(await ssh(A, 'hostname')).toBe('i101');
    expect(await ssh(A, 'cat', '/proc/1/comm')).toBe('sh');
    expect(await ssh(B, 'ip', '-o', '-4', 'address', 'show', 'eth0')).toContain('10.0.0.102/24');
    expect(machines.at(A).hostKey.fingerprint).not.toBe(machines.at(B).hostKey.fingerprint);
  });

  test('a power cut keeps the disk and nothing else: what is written stays, and each boot has its own id', async () => {
    const machine = await booted(A);
    await ssh(A, 'echo kept > /var/kept; echo lost > /run/lost; sleep 1000 </dev/null >/dev/null 2>&1 &');
    const bootId = await ssh(A, 'cat', '/proc/sys/kernel/random/boot_id');
    await machine.off();
    expect(machine.isOn).toBe(false);
    expect(await answers(A)).toBe(false);
    await booted(A);
    expect(await ssh(A, 'cat /var/kept; ls /run/lost 2>/dev/null; pgrep -x sleep -c; cat /etc/hostname')).toBe('kept\n1\ni101');
    expect(await ssh(A, 'cat', '/proc/sys/kernel/random/boot_id')).not.toBe(bootId);
  });

  test('a machine that was destroyed is another one when it boots again', async () => {
    const machine = await booted(A);
    await ssh(A, 'touch /var/kept');
    const before = machine.hostKey.fingerprint;
    await machine.destroy();
    expect(machine.hostKey.fingerprint).not.toBe(before);
    await booted(A);
    await expect(ssh(A, 'cat /var/kept')).rejects.toThrow('No such file');
  });

  test('the boot script of a machine is run by each boot, before ssh answers', async () => {
    const machine = machines.at(A);
    await machine.write('/etc/boot', '#!/bin/sh\necho booted >> /var/boots\n', 0o755);
    await booted(A);
    expect(await ssh(A, 'cat', '/var/boots')).toBe('booted');
    await machine.off();
    await booted(A);
    expect(await machine.run('cat', '/var/boots')).toBe('booted\nbooted\n');
  });

  test('a frozen machine accepts connections and says nothing until it is thawed', async () => {
    const machine = await booted(A);
    machine.freeze();
    const socket = connect(22, A);
    let heard = '';
    socket.on('data', (bytes) => {
      heard += bytes;
    });
    await expect.poll(() => socket.readyState).toBe('open');
    expect(heard).toBe('');
    machine.thaw();
    await expect.poll(() => heard).toContain('SSH-2.0');
    socket.destroy();
  });

  test('a machine is cut off while it is partitioned, and answers again once that is healed', async () => {
    const machine = await booted(A);
    machine.partition();
    expect(await answers(A)).toBe(false);
    await machine.off();
    await machine.boot();
    expect(await answers(A)).toBe(false);
    machine.heal();
    await expect.poll(() => answers(A)).toBe(true);
  });

  test('packets are lost in one direction, to one port, or now and then, until that is healed', async () => {
    const machine = await booted(A);
    const socket = createSocket('udp4').bind(0, machines.orchestrator);
    await once(socket, 'listening');
    let received = 0;
    socket.on('message', () => received++);
    const send = (count: number) =>
      machine.run(
        'bash',
        '-c',
        `for ((n = 0; n < ${count}; n++)); do echo >/dev/udp/${machines.orchestrator}/${socket.address().port}; done`,
      );

    const healAnswers = machines.lose({ from: machines.orchestrator, to: A });
    expect(await answers(A)).toBe(false);
    await send(1);
    await expect.poll(() => received).toBe(1);
    healAnswers();

    const healPort = machines.lose({ to: machines.orchestrator, port: socket.address().port });
    await send(5);
    expect(await answers(A)).toBe(true);
    expect(received).toBe(1);
    healPort();

    const healHalf = machines.lose({ from: A, percent: 50 });
    await send(200);
    await expect.poll(() => received).toBeGreaterThan(20);
    expect(received).toBeLessThan(180);
    healHalf();
    socket.close();
  });

  test('nothing but the network of the machines can be reached from one', async () => {
    const machine = await booted(A);
    expect(await machine.run('ip', 'route')).toMatch(/^10\.0\.0\.0\/24 dev eth0[^\n]*\n$/);
  });
});
