import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connecting } from '../../adapters/ssh/connecting.ts';
import type { Ip } from '../../src/domain/identity.ts';
import { freePort, loopback } from '../support/servers.ts';
import { turns } from '../support/turns.ts';

const never = new AbortController().signal;
const ip = loopback(1) as Ip;
/** Accepts what comes, of which the kernel keeps one more than two waiting. */
const SERVER = `require('node:net').createServer((socket) => socket.on('error', () => {}))
  .listen({ host: '${ip}', port: Number(process.argv[1]), backlog: 1 }, () => console.log('listening'))`;

const open: { sockets: Socket[]; server?: ChildProcess } = { sockets: [] };
afterEach(() => {
  for (const socket of open.sockets.splice(0)) socket.destroy();
  open.server?.kill('SIGKILL');
  delete open.server;
});

test('what is lost of a first attempt is made good by a second one, sooner than TCP repeats it', async () => {
  const port = await freePort(ip);
  const server = spawn(process.execPath, ['-e', SERVER, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  open.server = server;
  await once(server.stdout, 'data');
  server.kill('SIGSTOP');
  // The kernel answers for a server that stands still, until it keeps no more: then it drops what asks for a connection.
  const isFull = async () => {
    const socket = connect(port, ip);
    open.sockets.push(socket);
    await turns(50);
    return socket.connecting;
  };
  await expect.poll(isFull).toBe(true);
  const connected = connecting(ip, port, 900, never);
  await turns(50);
  server.kill('SIGCONT');
  const socket = await connected;
  open.sockets.push(socket);
  expect(socket.readyState).toBe('open');
});

test('one that is refused is, without another attempt', async () => {
  const port = await freePort(ip);
  await expect(connecting(ip, port, 60_000, never)).rejects.toMatchObject({ code: 'ER0240' });
});
