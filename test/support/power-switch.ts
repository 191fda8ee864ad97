import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SshdServer } from './sshd-server.ts';

/** A machine whose power is switched by commands of this machine, as `local()` runs them: it boots when it is let. */
export interface PowerSwitch {
  readonly status: readonly string[];
  readonly start: readonly string[];
  readonly stop: readonly string[];
  /** The commands that have come, `status` aside. */
  readonly calls: readonly string[];
  /** Ends the boot that a `start` began: the machine runs, sshd with it. */
  finishBoot(): Promise<void>;
  close(): Promise<void>;
}

const ASK = 'fetch(process.argv[1]).then((answer) => answer.text()).then((text) => console.log(text))';

export async function powerSwitch(sshd: SshdServer): Promise<PowerSwitch> {
  let power = 'stopped';
  const calls: string[] = [];
  await sshd.stop();
  const server = createServer((request, response) => {
    const verb = request.url?.slice(1) ?? '';
    if (verb !== 'status') calls.push(verb);
    if (verb === 'start' && power === 'stopped') power = 'pending';
    if (verb === 'stop') {
      power = 'stopped';
      void sshd.stop();
    }
    response.end(power);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const argv = (verb: string) => [process.execPath, '-e', ASK, `http://127.0.0.1:${port}/${verb}`];
  return {
    status: argv('status'),
    start: argv('start'),
    stop: argv('stop'),
    calls,
    async finishBoot() {
      await sshd.start();
      power = 'running';
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
