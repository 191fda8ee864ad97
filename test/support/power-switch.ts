import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serverFolder } from './run-folder.ts';
import type { SshdServer } from './sshd-server.ts';

/** A machine whose power is switched by commands of this machine, as `local()` runs them: it boots when it is let. */
export interface PowerSwitch {
  readonly status: readonly string[];
  readonly start: readonly string[];
  readonly stop: readonly string[];
  /** The commands that have come. */
  readonly calls: readonly string[];
  /** Whether commands are refused from now on. */
  jam(isJammed: boolean): void;
  /** As a power cut. */
  off(): Promise<void>;
  /** Ends the boot that a `start` began: the machine runs, sshd with it. */
  finishBoot(): Promise<void>;
  close(): Promise<void>;
}

const ASK = 'fetch(process.argv[1]).then((answer) => answer.ok || process.exit(1))';

/** @param ends what else ends with the power of a machine that is on already; without it, the machine is off */
export async function powerSwitch(sshd: SshdServer, ends?: () => void): Promise<PowerSwitch> {
  const file = join(serverFolder('power'), 'power');
  const calls: string[] = [];
  let power = '';
  let jammed = false;
  const become = (word: string) => {
    power = word;
    writeFileSync(file, `${word}\n`);
  };
  const off = async () => {
    become('stopped');
    ends?.();
    await sshd.stop();
  };
  if (ends) become('running');
  else await off();
  const server = createServer((request, response) => {
    const verb = request.url?.slice(1) ?? '';
    calls.push(verb);
    if (jammed) return void response.writeHead(503).end();
    if (verb === 'start' && power === 'stopped') become('pending');
    if (verb === 'stop') void off();
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const argv = (verb: string) => [process.execPath, '-e', ASK, `http://127.0.0.1:${port}/${verb}`];
  return {
    status: ['cat', file],
    start: argv('start'),
    stop: argv('stop'),
    calls,
    off,
    jam: (isJammed) => {
      jammed = isJammed;
    },
    async finishBoot() {
      await sshd.start();
      become('running');
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
