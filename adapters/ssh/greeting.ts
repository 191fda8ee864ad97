import { connect, type Socket } from 'node:net';
import type { Ip } from '../../src/domain/identity.ts';
import { endedBy, sshFailure } from './failure.ts';

export interface GreetingLimits {
  /** How long TCP may take to connect. */
  readonly connectMs: number;
  /** How long the other side may take to say its first word. */
  readonly silentMs: number;
}

/**
 * Connects and waits for the first word, which in ssh the server says unasked. It stays unread in the socket.
 * So a host that is away or frozen costs a socket and nothing more.
 */
export function greeting(ip: Ip, port: number, limits: GreetingLimits, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: ip, port, noDelay: true });
    let connected = false;

    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const end = () => fail(endedBy(signal, `connecting to ${ip}`));
    const isSilent = () => fail(sshFailure('silent', ip, `connects on port ${port}, but says nothing for ${limits.silentMs} ms`));
    let timer = setTimeout(
      () => fail(sshFailure('timeout', ip, `no connection on port ${port} within ${limits.connectMs} ms`)),
      limits.connectMs,
    );

    socket.once('connect', () => {
      connected = true;
      clearTimeout(timer);
      timer = setTimeout(isSilent, limits.silentMs);
    });
    socket.once('data', (firstWord) => {
      settle();
      socket.pause();
      socket.unshift(firstWord);
      resolve(socket);
    });
    // Both listeners stay: an error event that nobody hears ends the process.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(sshFailure(connected ? 'silent' : connectAnswer(error), ip, `port ${port}: ${error.code ?? error.message}`, error)),
    );
    socket.on('close', () => fail(sshFailure('silent', ip, `port ${port} was closed before ssh was spoken`)));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** A refusal comes from the host itself; every other error of a connect says that there was nobody to refuse. */
const connectAnswer = (error: NodeJS.ErrnoException): 'refused' | 'timeout' =>
  error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? 'refused' : 'timeout';
