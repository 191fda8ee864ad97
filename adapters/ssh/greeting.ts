import type { Socket } from 'node:net';
import type { Ip } from '../../src/domain/identity.ts';
import { connecting } from './connecting.ts';
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
export async function greeting(ip: Ip, port: number, limits: GreetingLimits, signal: AbortSignal): Promise<Socket> {
  const socket = await connecting(ip, port, limits.connectMs, signal);
  return new Promise((resolve, reject) => {
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
    const timer = setTimeout(isSilent, limits.silentMs);

    socket.once('data', (firstWord) => {
      settle();
      socket.pause();
      socket.unshift(firstWord);
      resolve(socket);
    });
    // Both listeners stay: an error event that nobody hears ends the process.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(sshFailure('silent', ip, `port ${port}: ${error.code ?? error.message}`, error)),
    );
    socket.on('close', () => fail(sshFailure('silent', ip, `port ${port} was closed before ssh was spoken`)));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
