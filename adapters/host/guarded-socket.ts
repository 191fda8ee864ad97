import type { Socket } from 'node:net';

/** The code of the error that a socket is destroyed with whose peer does not speak the protocol. */
export const FOREIGN = 'FOREIGN';

/**
 * Keeps what is read from a socket from ending the process: a client library may stumble over what a stranger sends, and the
 * exception of a listener is nobody's. Call it once the library listens; the socket is destroyed then, with what it stumbled over
 * as the cause.
 *
 * @param protocol what should be spoken, for a person
 */
export function guardSocket(socket: Socket, protocol: string): void {
  for (const listener of socket.listeners('data')) {
    let isForeign = false;
    socket.removeListener('data', listener as () => void);
    socket.on('data', (bytes) => {
      if (isForeign) return;
      try {
        listener.call(socket, bytes);
      } catch (cause) {
        isForeign = true;
        const error = Object.assign(new Error(`does not speak the protocol of ${protocol}`, { cause }), { code: FOREIGN });
        // Not at once: who has just been given its connection, by the same bytes, is to hear its errors first.
        setImmediate(() => socket.destroy(error));
      }
    });
  }
}
