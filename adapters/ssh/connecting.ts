import { connect, type Socket } from 'node:net';
import type { Ip } from '../../src/domain/identity.ts';
import { endedBy, sshFailure } from './failure.ts';

/** When attempts begin, in milliseconds: TCP itself repeats what was lost only after a second, and a host that boots is there sooner. */
const ATTEMPTS_MS = [0, 300, 600, 900];

/**
 * Connects by TCP, in some attempts beside each other of which the first one that succeeds counts. The first one that fails does too: then
 * somebody has said that nobody is there.
 *
 * @param connectMs how long all of it may take
 * @throws FleetError of ssh: `refused` or `timeout`, or why the signal was aborted
 */
export function connecting(ip: Ip, port: number, connectMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const sockets: Socket[] = [];
    const settle = (winner?: Socket) => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', end);
      for (const socket of sockets) if (socket !== winner) socket.destroy();
    };
    const fail = (error: Error) => {
      settle();
      reject(error);
    };
    const end = () => fail(endedBy(signal, `connecting to ${ip}`));
    const attempt = () => {
      const socket = connect({ host: ip, port, noDelay: true });
      sockets.push(socket);
      socket.once('connect', () => {
        settle(socket);
        resolve(socket);
      });
      // It stays: an error event that nobody hears ends the process.
      socket.on('error', (error: NodeJS.ErrnoException) =>
        fail(sshFailure(connectAnswer(error), ip, `port ${port}: ${error.code ?? error.message}`, error)),
      );
    };
    const giveUp = () => fail(sshFailure('timeout', ip, `no connection on port ${port} within ${connectMs} ms`));
    const timers = [
      ...ATTEMPTS_MS.filter((ms) => ms > 0 && ms < connectMs).map((ms) => setTimeout(attempt, ms)),
      setTimeout(giveUp, connectMs),
    ];
    if (signal.aborted) return end();
    signal.addEventListener('abort', end, { once: true });
    attempt();
  });
}

/** A refusal comes from the host itself; every other error of a connect says that there was nobody to refuse. */
const connectAnswer = (error: NodeJS.ErrnoException): 'refused' | 'timeout' =>
  error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? 'refused' : 'timeout';
