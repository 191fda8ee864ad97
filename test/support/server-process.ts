import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { killFamily, signalFamily, stopFamily } from './process-table.ts';
import { forgetPid, recordPid } from './run-folder.ts';

/** A server that runs in the foreground as our child. */
export interface ServerProcess {
  readonly pid: number;
  /** Kills it with all that it has started; resolves when it is gone. */
  stop(): Promise<void>;
  /** It keeps its sockets, and does nothing: connections are still accepted by the kernel. */
  freeze(): void;
  thaw(): void;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly host: string;
  readonly port: number;
  /** What to send, and what the answer starts with once the server is up. */
  readonly greeting: { readonly send: string; readonly expect: string };
}

const START_MS = 10_000;

/** Starts a server and resolves when it answers. */
export async function launch({ command, args, host, port, greeting }: Launch): Promise<ServerProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`, { cause: (await once(child, 'error'))[0] });
  recordPid(pid);
  running.add(child);
  let log = '';
  child.stderr.on('data', (bytes: Buffer) => {
    log = (log + bytes).slice(-4000);
  });
  const exited = once(child, 'exit').finally(() => {
    running.delete(child);
    forgetPid(pid);
  });

  const server: ServerProcess = {
    pid,
    async stop() {
      if (running.has(child)) killFamily(pid);
      await exited;
    },
    freeze: () => stopFamily(pid),
    thaw: () => signalFamily(pid, 'SIGCONT'),
  };
  const deadline = performance.now() + START_MS;
  while (!(await answers(host, port, greeting))) {
    if (running.has(child) && performance.now() < deadline) {
      await pause(2);
      continue;
    }
    await server.stop();
    throw new Error(`${command} does not answer at ${host}:${port}; it says:\n${log}`);
  }
  return server;
}

/** A port that is free now. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error(`no port at ${host}`);
  return address.port;
}

function answers(host: string, port: number, { send, expect }: Launch['greeting']): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('connect', () => send && socket.write(send));
    socket.on('data', (bytes) => settle(bytes.toString('latin1').startsWith(expect)));
    socket.on('error', () => settle(false));
    socket.on('timeout', () => settle(false));
    socket.on('end', () => settle(false));
  });
}

const running = new Set<ChildProcess>();

const killRunning = (): void => {
  for (const { pid } of running) if (pid !== undefined) killFamily(pid);
};

// An uncaught exception ends in `exit` as well. Where even that is not reached, the pid files are.
process.once('exit', killRunning);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killRunning();
    process.kill(process.pid, signal);
  });
}
