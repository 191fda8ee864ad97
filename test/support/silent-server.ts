import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { freePort } from './server-process.ts';

export interface SilentServer {
  readonly host: string;
  readonly port: number;
  /** How many have connected so far, and how many of them still are. */
  connections(): { readonly accepted: number; readonly open: number };
  stop(): Promise<void>;
}

/** Accepts connections, reads all, and never says a word. */
export async function silentServer({
  host = '127.0.0.1',
  port,
}: {
  readonly host?: string;
  readonly port?: number;
} = {}): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket.resume());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  const chosen = port ?? (await freePort(host));
  await once(server.listen(chosen, host), 'listening');
  return {
    host,
    port: chosen,
    connections: () => ({ accepted, open: sockets.size }),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
