import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startedAt } from './process-table.ts';
import { reapEarlierRuns, serverFolder } from './run-folder.ts';
import { loopback, makeSshKey, requires, type SshdServer, silentServer, startSshd } from './servers.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr?.on('data', (bytes) => {
    stderr += bytes;
  });
  const [exit] = await once(child, 'close');
  return { exit, stdout, stderr };
}

requires('sshd')('an sshd for tests', () => {
  const key = makeSshKey();

  async function started(): Promise<SshdServer> {
    const server = await startSshd({ address: loopback(101), authorizedKeys: [key.publicKey] });
    stops.push(server.stop);
    return server;
  }

  /** Debian's own client, so that nothing of ours judges itself. */
  function ssh(server: SshdServer, command: string, knownHosts = server.knownHostsLine()): ChildProcess {
    const knownHostsFile = join(serverFolder('known-hosts'), 'known_hosts');
    writeFileSync(knownHostsFile, `${knownHosts}\n`);
    const options = { BatchMode: 'yes', ConnectTimeout: '1', StrictHostKeyChecking: 'yes', UserKnownHostsFile: knownHostsFile };
    const args = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    return spawn('ssh', [
      ...args,
      '-F',
      'none',
      '-i',
      key.path,
      '-p',
      `${server.port}`,
      `${server.username}@${server.address}`,
      command,
    ]);
  }

  test('runs commands for the key it was given, in an empty home', async () => {
    const server = await started();
    expect(await ended(ssh(server, 'echo "$HOME"; ls -A "$HOME"'))).toMatchObject({ exit: 0, stdout: `${server.home}\n` });
  });

  test('takes its open sessions, and what they run, along when it is stopped', async () => {
    const server = await started();
    const session = ssh(server, 'echo $$; exec sleep 600');
    const over = ended(session);
    const [pid] = await once(session.stdout ?? session, 'data');
    await server.stop();
    expect(await over).toMatchObject({ exit: 255 });
    await expect.poll(() => startedAt(Number(pid))).toBeNull();
    expect(await ended(ssh(server, 'true'))).toMatchObject({ stderr: expect.stringContaining('Connection refused') });
    await server.start();
    expect(await ended(ssh(server, 'true'))).toMatchObject({ exit: 0 });
  });

  test('accepts connections and says nothing while it is frozen', async () => {
    const server = await started();
    server.freeze();
    expect(await ended(ssh(server, 'true'))).toMatchObject({ stderr: expect.stringContaining('timed out') });
    server.thaw();
    expect(await ended(ssh(server, 'true'))).toMatchObject({ exit: 0 });
  });

  test('is another host once its key is rotated', async () => {
    const server = await started();
    const [line, { fingerprint }] = [server.knownHostsLine(), server.hostKey()];
    await server.rotateHostKey();
    const { stderr } = await ended(ssh(server, 'true', line));
    expect(stderr).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
    expect(stderr).toContain(server.hostKey().fingerprint);
    expect(stderr).not.toContain(fingerprint);
    expect(await ended(ssh(server, 'true'))).toMatchObject({ exit: 0 });
  });
});

requires('memcached')('a test run that was killed', () => {
  test('has its servers ended and its folder removed by the next', async () => {
    const script = `
      import { startMemcached } from './servers.ts';
      import { runFolder } from './run-folder.ts';
      import { readdirSync } from 'node:fs';
      await startMemcached();
      console.log(JSON.stringify({ folder: runFolder(), pids: readdirSync(runFolder() + '/pids').map(Number) }));
      setInterval(() => {}, 1000);`;
    const { FLEETBEAT_TEST_FOLDER: _ours, ...env } = process.env;
    const run = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(run.stdout, 'data');
    const { folder, pids }: { folder: string; pids: number[] } = JSON.parse(String(line));
    run.kill('SIGKILL');
    await once(run, 'exit');
    const [server = 0] = pids;
    expect(readFileSync(`/proc/${server}/comm`, 'utf8')).toBe('memcached\n');
    reapEarlierRuns();
    await expect.poll(() => startedAt(server)).toBeNull();
    expect(existsSync(folder)).toBe(false);
  });
});

test('a silent server accepts, and never says a word', async () => {
  const server = await silentServer();
  stops.push(server.stop);
  const socket = connect(server.port, server.host);
  let heard = 0;
  socket.on('data', () => {
    heard += 1;
  });
  socket.write('SSH-2.0-test\r\n');
  await expect.poll(server.connections).toEqual({ accepted: 1, open: 1 });
  socket.end();
  await once(socket, 'close');
  expect(heard).toBe(0);
});
