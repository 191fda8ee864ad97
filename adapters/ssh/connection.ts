import type { Socket } from 'node:net';
import { Client, type ParsedKey, type PublicKeyAuthMethod, type ServerHostKeyAlgorithm } from 'ssh2';
import type { Ip } from '../../src/domain/identity.ts';
import { type Slots, slots } from '../../src/domain/slots.ts';
import { type FleetError, messageOf } from '../../src/errors.ts';
import { answerOf, endedBy, sshFailure } from './failure.ts';
import { type GreetingLimits, greeting } from './greeting.ts';
import { fingerprintOf, type HostKeys, type Verdict } from './host-keys.ts';
import { type KeptChannels, keptChannels } from './kept-channels.ts';
import { keyType } from './known-hosts.ts';

/** An open connection to one host. */
export interface Connection {
  readonly client: Client;
  /** The channels that may be open at once. */
  readonly channels: Slots;
  /** Shells that wait for commands which only look. */
  readonly kept: KeptChannels;
  isOpen(): boolean;
  /** Keeps the process alive until the returned function is called; an idle connection keeps none alive. */
  hold(): () => void;
  /** Ends it at once; what runs on it fails. */
  drop(): void;
}

export interface DialOptions extends GreetingLimits {
  readonly username: string;
  readonly key: ParsedKey;
  readonly hostKeys: HostKeys;
  /** Handshakes cost processor time on our side, so only some run at once; a host that says nothing holds no slot. */
  readonly handshakes: Slots;
  /** Channels of one connection. */
  readonly channels: number;
}

/**
 * Connects as the configured user to a host that has proven its key.
 * Rejects with the FleetError whose code says how it ended, ER0240 to ER0244.
 */
export async function dial(ip: Ip, port: number, options: DialOptions, signal: AbortSignal): Promise<Connection> {
  let refusal: unknown = sshFailure('host-key-changed', ip, 'of its known keys none is of a type that can be asked for');
  for (const algorithms of options.hostKeys.offers(ip, port)) {
    if (algorithms.length === 0) break;
    const socket = await greeting(ip, port, options, signal);
    try {
      return await options.handshakes.use(`the handshake with ${ip}`, signal, () =>
        shakeHands(socket, ip, port, algorithms, options),
      );
    } catch (error) {
      socket.destroy();
      refusal = error;
      // Only another type of key can be better than the one that was shown.
      if (answerOf(error) !== 'host-key-changed') break;
    }
  }
  throw refusal;
}

function shakeHands(
  socket: Socket,
  ip: Ip,
  port: number,
  algorithms: readonly ServerHostKeyAlgorithm[],
  { username, key, hostKeys, silentMs, channels }: DialOptions,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const login: PublicKeyAuthMethod = { type: 'publickey', username, key };
    let shown: { readonly key: Buffer; readonly verdict: Verdict } | undefined;

    // The listener stays for the connection's life: an error event that nobody hears ends the process.
    client.on('error', (error: SshError) => reject(refusalOf(error, ip, shown)));
    client.on('close', () => reject(sshFailure('silent', ip, 'the connection was closed during the handshake')));
    client.once('ready', async () => {
      try {
        // Only here has the host proven that the key is its own.
        if (shown) await hostKeys.accept(ip, port, shown.key);
        resolve(connectionOf(client, socket, channels));
      } catch (cause) {
        client.destroy();
        reject(
          sshFailure('auth-failed', ip, `its host key could not be recorded (${messageOf(cause)}), so it is not trusted`, cause),
        );
      }
    });
    client.connect({
      sock: socket,
      username,
      authHandler: [login],
      readyTimeout: silentMs,
      algorithms: { serverHostKey: [...algorithms] },
      hostVerifier: (shownKey: Buffer) => {
        shown = { key: shownKey, verdict: hostKeys.judge(ip, port, shownKey) };
        return shown.verdict === 'trusted' || shown.verdict === 'first';
      },
    });
  });
}

/** Shells kept on one host; whatever else looks meanwhile has a channel of its own. */
const KEPT = 2;

function connectionOf(client: Client, socket: Socket, channels: number): Connection {
  let open = true;
  let holders = 0;
  const close = () => {
    open = false;
  };
  // Each command that runs listens for the end.
  client.setMaxListeners(0);
  client.on('error', close).on('end', close).on('close', close);
  socket.unref();
  const places = slots(channels, endedBy);
  const isOpen = () => open;
  return {
    client,
    channels: places,
    kept: keptChannels(client, places, Math.min(KEPT, Math.floor(channels / 4)), isOpen),
    isOpen,
    hold() {
      if (holders++ === 0) socket.ref();
      return () => {
        if (--holders === 0) socket.unref();
      };
    },
    drop() {
      close();
      socket.destroy();
    },
  };
}

/** What ssh2 adds to its errors. */
type SshError = Error & { readonly level?: string };

const REFUSED_KEY: Readonly<Record<Exclude<Verdict, 'trusted' | 'first'>, (shown: string) => string>> = {
  changed: (shown) => `its host key is not the known one: it showed ${shown}`,
  revoked: (shown) => `its host key ${shown} is revoked`,
  unknown: (shown) => `no host key of it is known; it showed ${shown}`,
};

function refusalOf(error: SshError, ip: Ip, shown: { readonly key: Buffer; readonly verdict: Verdict } | undefined): FleetError {
  if (shown && shown.verdict !== 'trusted' && shown.verdict !== 'first') {
    // A host of which nothing is known has failed to authenticate; nothing about it has changed.
    const answer = shown.verdict === 'unknown' ? 'auth-failed' : 'host-key-changed';
    return sshFailure(answer, ip, REFUSED_KEY[shown.verdict](`${keyType(shown.key)} ${fingerprintOf(shown.key)}`));
  }
  if (error.message.includes('no matching host key')) {
    return sshFailure('host-key-changed', ip, 'it has no host key of a type that is known of it', error);
  }
  if (error.level === 'client-authentication')
    return sshFailure('auth-failed', ip, 'it does not accept our key for this user', error);
  return sshFailure('silent', ip, `the handshake was not completed: ${error.message}`, error);
}
