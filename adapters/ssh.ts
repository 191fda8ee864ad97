import { setTimeout as pause } from 'node:timers/promises';
import ssh2, { type ParsedKey } from 'ssh2';
import type { Shell } from '../src/contracts.ts';
import { saysDiskFull } from '../src/domain/disk-full.ts';
import { excerpt } from '../src/domain/excerpt.ts';
import type { Ip } from '../src/domain/identity.ts';
import { slots } from '../src/domain/slots.ts';
import { FleetError, isFleetError } from '../src/errors.ts';
import type { Connection } from './ssh/connection.ts';
import { connections } from './ssh/connections.ts';
import { withinDeadline } from './ssh/deadline.ts';
import { execute, isCrowded } from './ssh/execution.ts';
import { answerOf, endedBy, sshFailure } from './ssh/failure.ts';
import { type HostKeyOptions, hostKeys } from './ssh/host-keys.ts';
import { quote } from './ssh/quote.ts';

export interface SshOptions extends HostKeyOptions {
  readonly username: string;
  /** The text of the private key, as in an identity file. It is never written anywhere, nor is its passphrase. */
  readonly privateKey: string;
  readonly passphrase?: string;
  /** One for all hosts (default 22), or by ip; a host that is not in the map has 22. */
  readonly port?: number | ReadonlyMap<string, number>;
  /** How long TCP may take to connect. Default 3000. */
  readonly connectMs?: number;
  /** How long a connected host may take to speak, to finish a handshake, to answer a check. Default 5000. */
  readonly silentMs?: number;
  /** How long {@link Shell.put} may take. Default 60000. */
  readonly putMs?: number;
  /** Handshakes at once. Default 16. */
  readonly parallel?: number;
  /** A host that was lost, or not reached, is dialled again after a random part of this. Default 100. */
  readonly jitterMs?: number;
  /**
   * Channels at once on one host, so many commands; the others wait. Default 8, since sshd allows 10 and the check needs one. Up to two
   * of them, of four each one, are kept for commands that only look.
   */
  readonly channels?: number;
}

export interface SshShell extends Shell {
  close(): Promise<void>;
}

/**
 * A shell over ssh, with one kept connection to each host. A host proves its key before anything is sent to it.
 *
 * `reachable` answers `auth-failed` also for a host of which no key is known: it could not be authenticated.
 * `host-key-changed` is kept for a key that is not the known one, or is revoked.
 *
 * @throws FleetError ER0230 where the key cannot be read, or there is no way to know a host by its key
 * @example
 * ```ts
 * const shell = ssh({ username: 'admin', privateKey, knownHosts: await readFile('known_hosts', 'utf8') });
 * const { stdout } = await shell.run(ip, ['uname', '-r'], { deadlineMs: 5000 }, signal);
 * ```
 */
export function ssh(options: SshOptions): SshShell {
  const { port = 22, connectMs = 3000, silentMs = 5000, putMs = 60_000, parallel = 16, channels = 8, jitterMs = 100 } = options;
  const portOf = typeof port === 'number' ? () => port : (ip: Ip) => port.get(ip) ?? 22;
  const pool = connections(portOf, {
    username: options.username,
    key: readPrivateKey(options.privateKey, options.passphrase),
    hostKeys: hostKeys(options),
    handshakes: slots(parallel, endedBy),
    connectMs,
    silentMs,
    channels,
    jitterMs,
  });

  const runOn = (ip: Ip, argv: readonly string[], { stdin, deadlineMs, onlyLooks }: RunOptions, signal: AbortSignal) => {
    const line = quote(argv);
    const what = `${excerpt(argv[0] ?? '')} on ${ip}`;
    return withinDeadline(deadlineMs, what, signal, async (bounded) => {
      for (;;) {
        const connection = await pool.to(ip, bounded);
        if (onlyLooks && stdin === undefined) {
          const release = connection.hold();
          const result = await connection.kept.ask(line, what, bounded).finally(release);
          if (result) return result;
          // It may be run twice: what can be said of a host that was lost meanwhile is how it answers now.
          if (!connection.isOpen()) continue;
        }
        try {
          return await connection.channels.use(what, bounded, () => execute(connection, { what, line, stdin }, bounded));
        } catch (error) {
          if (!isCrowded(error)) throw error;
          await moment(bounded, what);
        }
      }
    });
  };

  /** Whether an open connection still answers; a frozen host keeps its connections open. */
  const answers = async (ip: Ip, connection: Connection, signal: AbortSignal): Promise<boolean> => {
    try {
      await withinDeadline(silentMs, `the check of ${ip}`, signal, (bounded) =>
        execute(connection, { what: `the check of ${ip}`, line: 'true' }, bounded),
      );
      return true;
    } catch (error) {
      if (signal.aborted || !isFleetError(error)) throw error;
      if (error.code === 'ER0220') return false;
      if (error.code !== 'ER0212') return true;
      throw sshFailure('silent', ip, `its open connection did not answer within ${silentMs} ms`, error);
    }
  };

  return {
    async reachable(ip, signal) {
      try {
        const connection = pool.existing(ip);
        if (!connection || !(await answers(ip, connection, signal))) await pool.to(ip, signal);
        return 'up';
      } catch (error) {
        const answer = answerOf(error);
        if (answer === null) throw error;
        return answer;
      }
    },

    run: async (ip, argv, options, signal) => runOn(ip, argv, options, signal),

    async put(ip, path, bytes, mode, signal) {
      if (!/^\/.*[^/]$/s.test(path)) {
        throw new FleetError('ER0222', `a file is put at an absolute path, found ${JSON.stringify(excerpt(path))}`);
      }
      const argv = ['sh', '-c', PUT, 'sh', path, mode.toString(8), String(bytes.length)];
      const { exit, stderr } = await runOn(ip, argv, { stdin: bytes, deadlineMs: putMs }, signal);
      if (exit === 0) return;
      const detail = `writing ${excerpt(path)} on ${ip} ended with ${exit}: ${excerpt(stderr)}`;
      throw saysDiskFull(stderr) ? new FleetError('ER0270', detail, { retryable: true }) : new FleetError('ER0018', detail);
    },

    async close() {
      pool.close();
    },
  };
}

interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly deadlineMs: number;
  readonly onlyLooks?: true;
}

/** Replaces a file at once and whole: the count of bytes tells a file from what is left of one when the connection was lost. */
const PUT = `
export LC_ALL=C
umask 077
part="$1.$$.part"
trap 'rm -f -- "$part"' EXIT
[ ! -d "$1" ] || { echo "is a directory" >&2; exit 1; }
cat > "$part" && [ "$(($(wc -c < "$part")))" -eq "$3" ] && chmod "$2" "$part" && mv -f "$part" "$1"
`;

const MOMENT_MS = 20;

const moment = (signal: AbortSignal, what: string): Promise<void> =>
  pause(MOMENT_MS, undefined, { signal }).catch(() => {
    throw endedBy(signal, what);
  });

function readPrivateKey(text: string, passphrase: string | undefined): ParsedKey {
  const parsed: ParsedKey | Error | readonly ParsedKey[] = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error) throw new FleetError('ER0230', `the private key of ssh cannot be read: ${key.message}`);
  if (!key.isPrivateKey()) throw new FleetError('ER0230', 'the private key of ssh is a public one');
  return key;
}
