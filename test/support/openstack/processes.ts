import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { killFamily } from '../process-table.ts';
import { forgetPid, recordPid } from '../run-folder.ts';

const PATIENCE_MS = 300_000;
const ENV = { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', PYTHONWARNINGS: 'ignore' };

/** The many processes of one OpenStack, each with a log of its own. */
export interface Processes {
  /** Runs a command to its end. */
  run(command: string, args: readonly string[]): Promise<void>;
  start(name: string, command: string, args: readonly string[], env?: Readonly<Record<string, string>>): void;
  /** Until somebody listens there. */
  listening(port: number): Promise<void>;
  /** Until it does not throw. */
  until(what: string, check: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export function processes(folder: string): Processes {
  const running = new Map<string, { readonly child: ChildProcess; readonly gone: Promise<unknown> }>();
  const logOf = (name: string) => join(folder, 'log', `${name}.log`);

  async function until(what: string, check: () => Promise<void>): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await check();
      } catch (error) {
        const ended = [...running].filter(([, { child }]) => child.exitCode !== null).map(([name]) => name);
        if (performance.now() < end && ended.length === 0) {
          await pause(100);
          continue;
        }
        const logs = ended.map((name) => `${name} has ended:\n${readFileSync(logOf(name), 'utf8').slice(-2000)}`);
        throw new Error([`${what} in vain`, ...logs].join('\n'), { cause: error });
      }
    }
  }

  return {
    until,
    async run(command, args) {
      await promisify(execFile)(command, [...args], { env: ENV, timeout: PATIENCE_MS, maxBuffer: 64 * 1024 * 1024 });
    },
    start(name, command, args, env = {}) {
      const log = openSync(logOf(name), 'a');
      const child = spawn(command, [...args], { env: { ...ENV, ...env }, stdio: ['ignore', log, log], detached: true });
      const { pid } = child;
      if (pid === undefined) throw new Error(`${command} could not be started`);
      recordPid(pid);
      running.set(name, { child, gone: once(child, 'exit').finally(() => forgetPid(pid)) });
    },
    listening: (port) =>
      until(`waited for port ${port}`, async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect').finally(() => socket.destroy());
      }),
    async stop() {
      for (const { child } of running.values()) if (child.pid !== undefined && child.exitCode === null) killFamily(child.pid);
      await Promise.all([...running.values()].map(({ gone }) => gone));
    },
  };
}
