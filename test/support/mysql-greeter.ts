import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** Greets as a MySQL server does, with its name as version, and does nothing else: enough for a check, and to tell who it is. */
export interface MysqlGreeter {
  readonly host: string;
  readonly port: number;
  /** Connections that are open, checks aside. */
  readonly open: number;
  /** Its port is closed, its connections are cut. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startMysqlGreeter(host: string, name: string): Promise<MysqlGreeter> {
  const sockets = new Set<Socket>();
  const greeting = greetingOf(name);
  let server: Server;
  let port = 0;
  const start = async () => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
      socket.on('data', () => {});
      socket.write(greeting);
    });
    await once(server.listen(port, host), 'listening');
    const address = server.address();
    if (address !== null && typeof address !== 'string') port = address.port;
  };
  await start();
  return {
    host,
    get port() {
      return port;
    },
    get open() {
      return sockets.size;
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    start,
  };
}

/** The first packet of protocol version 10. */
function greetingOf(name: string): Buffer {
  const payload = Buffer.concat([
    Buffer.from([10]),
    Buffer.from(`${name}\0`),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from('abcdefgh\0'),
    Buffer.from([0xff, 0xf7, 8, 2, 0, 0xff, 0x81, 21]),
    Buffer.alloc(10),
    Buffer.from('ijklmnopqrst\0mysql_native_password\0'),
  ]);
  return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]);
}

/** The name in a greeting. */
export const nameIn = (greeting: Buffer): string => greeting.subarray(5, greeting.indexOf(0, 5)).toString('latin1');
