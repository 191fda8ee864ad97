import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type SshOptions, type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import {
  faultyProxy,
  freePort,
  loopback,
  makeSshKey,
  requires,
  type SshdOptions,
  type SshdServer,
  silentServer,
  startSshd,
} from '../support/servers.ts';

const user = makeSshKey();
const { signal } = new AbortController();

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

const servers: { stop(): Promise<void> }[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

let nextHost = 1;
async function startHost(options: Partial<SshdOptions> = {}): Promise<SshdServer & { readonly ip: Ip }> {
  const address = loopback(nextHost++);
  const server = await startSshd({ address, authorizedKeys: [user.publicKey], ...options });
  servers.push(server);
  return Object.assign(server, { ip: asIp(address) });
}

const shells: SshShell[] = [];
afterEach(() => Promise.all(shells.splice(0).map((shell) => shell.close())));

function open(options: Partial<SshOptions> & Pick<SshOptions, 'port'>): SshShell {
  const shell = ssh({
    username: process.env.USER ?? 'root',
    privateKey: user.privateKey,
    connectMs: 1000,
    silentMs: 1500,
    ...options,
  });
  shells.push(shell);
  return shell;
}

const shellTo = (host: SshdServer, options: Partial<SshOptions> = {}): SshShell =>
  open({ username: host.username, port: host.port, knownHosts: host.knownHostsLine(), ...options });

/** A listener that accepts nothing and whose queue is full: the kernel answers no further connect, as for a host that is away. */
async function startFullServer(address: string): Promise<{ readonly address: string; readonly port: number }> {
  const port = await freePort(address);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     require('node:net').createServer().listen({ ...workerData, backlog: 1 }, () => {
       parentPort.postMessage('listening');
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true, workerData: { host: address, port } },
  );
  await once(worker, 'message');
  const sockets: Socket[] = [];
  for (let queued = true; queued; ) {
    const socket = connect(port, address);
    sockets.push(socket);
    queued = await Promise.race([once(socket, 'connect').then(() => true), pause(200, false)]);
  }
  servers.push({
    async stop() {
      for (const socket of sockets) socket.destroy();
      await worker.terminate();
    },
  });
  return { address, port };
}

const rejection = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error,
  );

requires('sshd')('a shell over ssh', () => {
  let host: SshdServer & { readonly ip: Ip };
  beforeAll(async () => {
    host = await startHost();
  });

  /** A proxy counts the connections to the host, and can cut them while the host goes on. */
  async function shellThroughProxy(host: SshdServer, options: Partial<SshOptions> = {}) {
    const proxy = await faultyProxy({ host: host.address, port: host.port }, []);
    servers.push(proxy);
    const port = Number(proxy.address.split(':')[1]);
    const shell = shellTo(host, { port, knownHosts: `[127.0.0.1]:${port} ${host.hostKey().publicKey}`, ...options });
    return { proxy, shell, ip: asIp('127.0.0.1') };
  }

  describe('knows a host by its key', () => {
    test('a host with its known key is up', async () => {
      expect(await shellTo(host).reachable(host.ip, signal)).toBe('up');
    });

    test('a host with its pinned fingerprint is up', async () => {
      const shell = shellTo(host, { knownHosts: '', fingerprints: { [host.address]: host.hostKey().fingerprint } });
      expect(await shell.reachable(host.ip, signal)).toBe('up');
    });

    test('a host with another key than the known one has changed, and no command reaches it', async () => {
      const stranger = makeSshKey();
      const shell = shellTo(host, { knownHosts: `[${host.address}]:${host.port} ${stranger.publicKey}` });
      expect(await shell.reachable(host.ip, signal)).toBe('host-key-changed');
      const mark = join(host.home, 'reached');
      await expect(shell.run(host.ip, ['touch', mark], { deadlineMs: 5000 }, signal)).rejects.toMatchObject({
        code: 'ER0244',
        retryable: false,
        message: expect.stringContaining(host.hostKey().fingerprint),
      });
      expect(existsSync(mark)).toBe(false);
    });

    test('a host of which no key is known is not authenticated, and the error shows the key that it has', async () => {
      const shell = shellTo(host, { knownHosts: `10.9.9.9 ${makeSshKey().publicKey}` });
      expect(await shell.reachable(host.ip, signal)).toBe('auth-failed');
      await expect(shell.run(host.ip, ['true'], { deadlineMs: 5000 }, signal)).rejects.toMatchObject({
        code: 'ER0243',
        message: expect.stringContaining(host.hostKey().fingerprint),
      });
    });

    test('a revoked key is refused', async () => {
      const shell = shellTo(host, { knownHosts: `${host.knownHostsLine()}\n@revoked * ${host.hostKey().publicKey}` });
      expect(await shell.reachable(host.ip, signal)).toBe('host-key-changed');
    });

    test.each(['rsa', 'ecdsa'])('a host with several keys of which only its %s key is known is up', async (type) => {
      const path = join(host.home, `${type}_key`);
      if (!existsSync(path)) execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
      const several = await startHost({ config: [`HostKey "${path}"`] });
      const publicKey = readFileSync(`${path}.pub`, 'utf8').trim();
      const known = shellTo(several, { knownHosts: `[${several.address}]:${several.port} ${publicKey}` });
      expect(await known.reachable(several.ip, signal)).toBe('up');
      const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', path], { encoding: 'utf8' }).split(' ')[1] ?? '';
      const pinned = shellTo(several, { knownHosts: '', fingerprints: { [several.address]: fingerprint } });
      expect(await pinned.reachable(several.ip, signal)).toBe('up');
    });

    test('a host that lost the type of key which is known of it has changed', async () => {
      const path = join(host.home, 'other_rsa_key');
      execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-N', '', '-C', '', '-f', path]);
      const shell = shellTo(host, { knownHosts: `[${host.address}]:${host.port} ${readFileSync(`${path}.pub`, 'utf8').trim()}` });
      expect(await shell.reachable(host.ip, signal)).toBe('host-key-changed');
    });
  });

  describe('that trusts on first use', () => {
    test('records the first key before the connection is used, and holds the host to it from then on', async () => {
      const fresh = await startHost();
      const lines: string[] = [];
      let recorded = false;
      const record = async (_: Ip, line: string) => {
        await new Promise(setImmediate);
        lines.push(line);
        recorded = true;
      };
      const shell = shellTo(fresh, { knownHosts: '', trustOnFirstUse: { record } });
      await shell.run(fresh.ip, ['true'], { deadlineMs: 5000 }, signal);
      expect(recorded).toBe(true);
      expect(lines).toEqual([fresh.knownHostsLine()]);

      await fresh.rotateHostKey();
      expect(await shell.reachable(fresh.ip, signal)).toBe('host-key-changed');
      expect(lines).toHaveLength(1);
    });

    test('does not use a host whose key could not be recorded', async () => {
      const record = () => Promise.reject(new Error('the disk is full'));
      const shell = shellTo(host, { knownHosts: '', trustOnFirstUse: { record } });
      await expect(shell.run(host.ip, ['true'], { deadlineMs: 5000 }, signal)).rejects.toMatchObject({
        code: 'ER0243',
        message: expect.stringContaining('the disk is full'),
      });
    });

    test('still refuses a host whose known key differs', async () => {
      const record = () => Promise.reject(new Error('nothing is to be recorded'));
      const knownHosts = `[${host.address}]:${host.port} ${makeSshKey().publicKey}`;
      expect(await shellTo(host, { knownHosts, trustOnFirstUse: { record } }).reachable(host.ip, signal)).toBe(
        'host-key-changed',
      );
    });
  });

  describe('has a word for every way not to answer', () => {
    test('each host its own, and none of them delays the one that answers', async () => {
      const frozen = await startHost();
      const stranger = await startHost({ authorizedKeys: [] });
      const silent = await silentServer({ host: loopback(200) });
      servers.push(silent);
      const refused = loopback(201);
      const ports = new Map<string, number>([
        [host.address, host.port],
        [frozen.address, frozen.port],
        [stranger.address, stranger.port],
        [silent.host, silent.port],
        [refused, await freePort(refused)],
      ]);
      const shell = shellTo(host, {
        port: ports,
        parallel: 1,
        knownHosts: [host, frozen, stranger].map((each) => each.knownHostsLine()).join('\n'),
      });
      frozen.freeze();
      const order: string[] = [];
      const ask = async (address: string) => {
        const answer = await shell.reachable(asIp(address), signal);
        order.push(answer);
        return answer;
      };
      try {
        const addresses = [silent.host, frozen.address, refused, stranger.address, host.address];
        expect(await Promise.all(addresses.map(ask))).toEqual(['silent', 'silent', 'refused', 'auth-failed', 'up']);
        expect(order.slice(-2)).toEqual(['silent', 'silent']);
      } finally {
        frozen.thaw();
      }
    });

    test('an address that nothing answers from is a timeout', async () => {
      const full = await startFullServer(loopback(203));
      const shell = open({ port: full.port, knownHosts: host.knownHostsLine(), connectMs: 300 });
      expect(await shell.reachable(asIp(full.address), signal)).toBe('timeout');
    });

    test('a server that speaks something else is silent', async () => {
      const web = createServer((socket) => socket.on('error', () => socket.destroy()).end('HTTP/1.0 400 Bad Request\r\n\r\n'));
      const port = await freePort(loopback(202));
      await new Promise<void>((resolve) => web.listen(port, loopback(202), resolve));
      servers.push({ stop: async () => void web.close() });
      expect(await open({ port, knownHosts: host.knownHostsLine() }).reachable(asIp(loopback(202)), signal)).toBe('silent');
    });

    test('a host that freezes after it was up is silent, and up again over a new connection once it is thawed', async () => {
      const host = await startHost();
      const { proxy, ip, shell } = await shellThroughProxy(host, { silentMs: 300 });
      expect(await shell.reachable(ip, signal)).toBe('up');
      host.freeze();
      expect(await shell.reachable(ip, signal)).toBe('silent');
      host.thaw();
      expect(await shell.reachable(ip, signal)).toBe('up');
      expect(proxy.connections().accepted).toBe(2);
    });

    test('a host that was not reached is dialled again only after a while, and one that is new at once', async () => {
      const [gone, stays] = [await startHost(), await startHost()];
      await gone.stop();
      const shell = shellTo(gone, {
        jitterMs: 1e9,
        port: new Map([gone, stays].map(({ address, port }) => [address, port])),
        knownHosts: [gone, stays].map((each) => each.knownHostsLine()).join('\n'),
      });
      expect(await shell.reachable(gone.ip, signal)).toBe('refused');
      await expect(shell.run(gone.ip, ['true'], { deadlineMs: 200 }, signal)).rejects.toMatchObject({ code: 'ER0212' });
      expect(await shell.reachable(stays.ip, signal)).toBe('up');
    });

    test('a host that goes and comes back is refused, then up', async () => {
      const host = await startHost();
      const shell = shellTo(host);
      expect(await shell.reachable(host.ip, signal)).toBe('up');
      await host.stop();
      expect(await shell.reachable(host.ip, signal)).toBe('refused');
      await host.start();
      expect(await shell.reachable(host.ip, signal)).toBe('up');
    });
  });

  describe('runs commands', () => {
    test('with their words, input, output and exit code', async () => {
      const shell = shellTo(host);
      const argv = ['sh', '-c', 'cat; printf %s "$1" >&2; exit 3', 'sh', `it's "$HOME"; exit 0`];
      expect(await shell.run(host.ip, argv, { stdin: 'héllo\n', deadlineMs: 5000 }, signal)).toEqual({
        exit: 3,
        stdout: 'héllo\n',
        stderr: `it's "$HOME"; exit 0`,
      });
    });

    test('that read their input to its end without having been given any', async () => {
      expect(await shellTo(host).run(host.ip, ['cat'], { deadlineMs: 5000 }, signal)).toMatchObject({ exit: 0, stdout: '' });
    });

    test('and counts the death by a signal from 128', async () => {
      const result = await shellTo(host).run(host.ip, ['sh', '-c', 'kill -KILL $$'], { deadlineMs: 5000 }, signal);
      expect(result.exit).toBe(128 + 9);
    });

    test('over one connection, however many run at once', async () => {
      const { proxy, ip, shell } = await shellThroughProxy(host);
      const results = await Promise.all(
        Array.from({ length: 30 }, (_, i) => shell.run(ip, ['echo', String(i)], { deadlineMs: 10_000 }, signal)),
      );
      expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 30 }, (_, i) => `${i}\n`));
      expect(proxy.connections().accepted).toBe(1);
    });

    test('and says that the outcome is unknown where the connection is lost, then connects anew', async () => {
      const host = await startHost();
      const shell = shellTo(host);
      const mark = join(host.home, 'begun');
      const lost = rejection(
        shell.run(host.ip, ['sh', '-c', 'touch "$1"; sleep 60', 'sh', mark], { deadlineMs: 20_000 }, signal),
      );
      while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 5));
      await host.restart();
      expect(await lost).toMatchObject({ code: 'ER0220', retryable: true });
      expect(await shell.run(host.ip, ['echo', 'again'], { deadlineMs: 5000 }, signal)).toMatchObject({ stdout: 'again\n' });
    });

    test('until their deadline', async () => {
      await expect(shellTo(host).run(host.ip, ['sleep', '60'], { deadlineMs: 300 }, signal)).rejects.toMatchObject({
        code: 'ER0212',
        retryable: true,
      });
    });

    test('until their caller gives up', async () => {
      const caller = new AbortController();
      const work = rejection(shellTo(host).run(host.ip, ['sleep', '600'], { deadlineMs: 20_000 }, caller.signal));
      caller.abort();
      expect(await work).toMatchObject({ code: 'ER0217' });
    });

    test('up to a mebibyte of output', async () => {
      const shell = shellTo(host);
      const write = (bytes: number) =>
        shell.run(host.ip, ['sh', '-c', `head -c ${bytes} /dev/zero`], { deadlineMs: 10_000 }, signal);
      expect((await write(2 ** 20)).stdout).toHaveLength(2 ** 20);
      await expect(write(2 ** 20 + 1)).rejects.toMatchObject({ code: 'ER0223' });
      expect((await write(1)).exit).toBe(0);
    });
  });

  describe('puts files', () => {
    test('whole, with their mode, in place of the old one', async () => {
      const shell = shellTo(host);
      const path = join(host.home, 'it\'s a "file" $HOME');
      await shell.put(host.ip, path, Buffer.from('old'), 0o644, signal);
      const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 256);
      await shell.put(host.ip, path, bytes, 0o640, signal);
      expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
      expect(statSync(path).mode & 0o7777).toBe(0o640);
      expect(readdirSync(host.home).filter((name) => name.endsWith('.part'))).toEqual([]);
    });

    test('that are empty', async () => {
      const path = join(host.home, 'empty');
      await shellTo(host).put(host.ip, path, new Uint8Array(), 0o600, signal);
      expect(statSync(path).size).toBe(0);
    });

    test('and leaves the old one where the new one does not arrive whole', async () => {
      const { proxy, ip, shell } = await shellThroughProxy(host);
      const path = join(mkdtempSync(join(host.home, 'cut-')), 'kept');
      writeFileSync(path, 'old');
      const work = rejection(shell.put(ip, path, new Uint8Array(50_000_000), 0o600, signal));
      await expect.poll(() => readdirSync(dirname(path))).toHaveLength(2);
      await proxy.stop();
      expect(await work).toMatchObject({ code: 'ER0220', retryable: true });
      await expect.poll(() => readdirSync(dirname(path))).toEqual(['kept']);
      expect(readFileSync(path, 'utf8')).toBe('old');
    });

    test('not into a directory', async () => {
      const path = join(host.home, 'directory');
      mkdirSync(path);
      await expect(shellTo(host).put(host.ip, path, Buffer.from('x'), 0o600, signal)).rejects.toMatchObject({
        code: 'ER0018',
        message: expect.stringContaining('is a directory'),
      });
      expect(readdirSync(path)).toEqual([]);
    });

    test.each(['relative', '-rf', '', '/ends/in/'])('only at an absolute path, not at %j', async (path) => {
      await expect(shellTo(host).put(host.ip, path, Buffer.from('x'), 0o600, signal)).rejects.toMatchObject({ code: 'ER0222' });
    });
  });

  describe('keeps its secrets', () => {
    test('a key that cannot be read, or without its passphrase, is refused without showing either', () => {
      const path = join(host.home, 'locked');
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-C', '', '-f', path]);
      const privateKey = readFileSync(path, 'utf8');
      const attempts = [
        { privateKey, passphrase: 'close sesame' },
        { privateKey },
        { privateKey: privateKey.slice(0, 200) },
        { privateKey: user.publicKey },
      ];
      for (const attempt of attempts) {
        const build = () => shellTo(host, attempt);
        expect(build).toThrow(expect.objectContaining({ code: 'ER0230' }));
        expect(build).not.toThrow(/sesame|PRIVATE|b3BlbnNzaC/);
      }
      expect(() => shellTo(host, { privateKey, passphrase: 'open sesame' })).not.toThrow();
    });

    test('without a way to know a host there is no shell', () => {
      expect(() => shellTo(host, { knownHosts: '' })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    });
  });

  test('that is closed ends what runs and connects no more', async () => {
    const shell = shellTo(host);
    await shell.reachable(host.ip, signal);
    const work = rejection(shell.run(host.ip, ['sleep', '600'], { deadlineMs: 20_000 }, signal));
    await new Promise(setImmediate);
    await shell.close();
    expect(await work).toMatchObject({ code: 'ER0220' });
    await expect(shell.run(host.ip, ['true'], { deadlineMs: 1000 }, signal)).rejects.toMatchObject({ code: 'ER0232' });
  });
});
