import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { freePort } from './server-process.ts';

/**
 * What goes wrong on one connection:
 * - `none`: nothing
 * - `hang`: requests are read and thrown away
 * - `close`: the connection ends (FIN) at the first request, which is thrown away
 * - `lose answers`: requests reach the server, answers never come back
 * - `half an answer`: the first answer is cut in its middle, then the connection is reset
 * - `damage`: the last byte of every answer is another one
 */
export type Fault = 'none' | 'hang' | 'close' | 'lose answers' | 'half an answer' | 'damage';

export interface FaultyProxy {
  /** `host:port` */
  readonly address: string;
  connections(): { readonly accepted: number; readonly open: number };
  /** Resolves when connection `index`, from 0, is closed by its client or by the fault. */
  closed(index: number): Promise<void>;
  stop(): Promise<void>;
}

/** A reset that arrives together with data is read as an ordinary end. */
const RESET_AFTER_MS = 20;

/** Stands before a server; connection i suffers `faults[i]`, those beyond the list nothing. */
export async function faultyProxy(
  target: { readonly host: string; readonly port: number },
  faults: readonly Fault[],
): Promise<FaultyProxy> {
  const host = '127.0.0.1';
  const clients: Socket[] = [];
  const server = createServer((client) => {
    const upstream = connect(target);
    inflict(faults[clients.length] ?? 'none', client, upstream);
    clients.push(client);
    client.on('close', () => upstream.destroy());
    client.on('error', () => client.destroy());
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
  });
  const port = await freePort(host);
  await once(server.listen(port, host), 'listening');
  return {
    address: `${host}:${port}`,
    connections: () => ({ accepted: clients.length, open: clients.filter((client) => !client.closed).length }),
    async closed(index) {
      const client = clients[index];
      if (client === undefined) throw new RangeError(`connection ${index} of ${clients.length}`);
      if (!client.closed) await once(client, 'close');
    },
    async stop() {
      for (const client of clients) client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function inflict(fault: Fault, client: Socket, upstream: Socket): void {
  const forward = () => client.on('data', (bytes) => upstream.write(bytes));
  switch (fault) {
    case 'none':
      client.pipe(upstream).pipe(client);
      return;
    case 'hang':
      client.resume();
      return;
    case 'close':
      client.once('data', () => client.end());
      return;
    case 'lose answers':
      forward();
      upstream.resume();
      return;
    case 'half an answer':
      forward();
      upstream.once('data', (bytes) => {
        client.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
        setTimeout(() => client.resetAndDestroy(), RESET_AFTER_MS);
      });
      return;
    case 'damage':
      forward();
      upstream.on('data', (bytes) => {
        const last = bytes.length - 1;
        client.write(Buffer.concat([bytes.subarray(0, last), Buffer.of((bytes[last] ?? 0) ^ 1)]));
      });
  }
}
