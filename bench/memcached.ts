import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { userInfo } from 'node:os';

export interface Memcached {
  readonly address: string;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const TRIES = 500;

/** Starts a memcached of this machine's own. @returns null where none is installed */
export async function startMemcached(): Promise<Memcached | null> {
  const port = await freePort();
  const user = userInfo().uid === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('memcached', [...user, '-l', HOST, '-p', String(port), '-U', '0', '-m', '256'], { stdio: 'ignore' });
  const exited = once(child, 'exit').catch(() => null);
  for (let i = 0; i < TRIES; i++) {
    if (await answers(port)) {
      return {
        address: `${HOST}:${port}`,
        async stop() {
          child.kill('SIGKILL');
          await exited;
        },
      };
    }
    if (child.pid === undefined || child.exitCode !== null) return null;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.kill('SIGKILL');
  return null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
  });
