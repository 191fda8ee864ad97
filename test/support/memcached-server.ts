import { userInfo } from 'node:os';
import { freePort, launch } from './server-process.ts';

export interface MemcachedServer {
  readonly host: string;
  readonly port: number;
  /** `host:port` */
  readonly address: string;
  stop(): Promise<void>;
  /** On the same port, with nothing stored. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** Starts a memcached of 64 MiB on a free loopback port; `args` are added to its command line. */
export async function startMemcached({ args = [] }: { readonly args?: readonly string[] } = {}): Promise<MemcachedServer> {
  const host = '127.0.0.1';
  const port = await freePort(host);
  const user = userInfo().uid === 0 ? ['-u', 'nobody'] : [];
  const start = () =>
    launch({
      command: 'memcached',
      args: [...user, '-l', host, '-p', String(port), '-U', '0', '-m', '64', ...args],
      host,
      port,
      greeting: { send: 'version\r\n', expect: 'VERSION ' },
    });
  let server = await start();
  return {
    host,
    port,
    address: `${host}:${port}`,
    stop: () => server.stop(),
    async restart() {
      await server.stop();
      server = await start();
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  };
}
