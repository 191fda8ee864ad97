import { constants } from 'node:os';
import type { ClientChannel } from 'ssh2';
import type { ShellResult } from '../../src/contracts.ts';
import { FleetError, isFleetError, messageOf } from '../../src/errors.ts';
import type { Connection } from './connection.ts';
import { endedBy } from './failure.ts';

/** More output than this on one stream is refused: it is held in memory whole. */
export const OUTPUT_BYTES = 1024 * 1024;

export interface Execution {
  /** The command and its host in words, for errors. */
  readonly what: string;
  /** A line for the login shell. */
  readonly line: string;
  readonly stdin?: string | Uint8Array | undefined;
}

/**
 * Runs one line on an open connection.
 *
 * @throws FleetError ER0223 for too much output, ER0220 where the connection is lost before the end, ER0018 where the host
 *   refuses to run anything, and what the signal was aborted with
 */
export function execute(connection: Connection, { what, line, stdin }: Execution, signal: AbortSignal): Promise<ShellResult> {
  return new Promise((resolve, reject) => {
    const { client } = connection;
    const release = connection.hold();
    let channel: ClientChannel | undefined;
    let settled = false;

    const settle = () => {
      settled = true;
      signal.removeEventListener('abort', end);
      client.removeListener('close', lose);
      release();
    };
    const fail = (error: Error) => {
      if (settled) return;
      settle();
      if (channel) abandon(channel);
      reject(error);
    };
    const end = () => {
      // A host that opens no channel in all that time is frozen or away, and its connection with it.
      if (!channel && isOverdue(signal)) connection.drop();
      fail(endedBy(signal, what));
    };
    const lose = () =>
      fail(new FleetError('ER0220', `the connection was lost while ${what} ran or was about to`, { retryable: true }));

    const onOpened = (refusal: Error | undefined, opened: ClientChannel) => {
      if (refusal && !connection.isOpen()) return lose();
      if (refusal) return fail(new FleetError('ER0018', `${what}: ${refusal.message}`, { retryable: true, cause: refusal }));
      if (settled) return abandon(opened);
      channel = opened;
      const tooMuch = () => fail(new FleetError('ER0223', `${what} wrote more than ${OUTPUT_BYTES} bytes on one stream`));
      const stdout = collect(opened, tooMuch);
      const stderr = collect(opened.stderr, tooMuch);
      let exit: number | undefined;
      opened.on('exit', (code: number | null, name?: string) => {
        exit = code ?? 128 + (SIGNALS.get(name ?? '') ?? 0);
      });
      opened.on('error', (error: Error) =>
        fail(new FleetError('ER0220', `${what}: ${error.message}`, { retryable: true, cause: error })),
      );
      opened.on('close', () => {
        if (settled) return;
        if (exit === undefined) return lose();
        settle();
        resolve({ exit, stdout: stdout(), stderr: stderr() });
      });
      if (stdin !== undefined) opened.end(stdin);
    };

    signal.addEventListener('abort', end, { once: true });
    client.once('close', lose);
    if (signal.aborted) return end();
    try {
      // Without input, our side of the channel stays open, for past its end no signal can be sent to the command.
      client.exec(stdin === undefined ? `${line} </dev/null` : line, onOpened);
    } catch (cause) {
      fail(new FleetError('ER0220', `${what}: ${messageOf(cause)}`, { retryable: true, cause }));
    }
  });
}

/** What a server answers that has no channel left; RFC 4254 calls it a failure to connect. */
const CONNECT_FAILED = 2;

/**
 * Whether the host had no channel left, so that nothing was begun. sshd frees one a moment after its command has ended,
 * which comes too late for a command that takes its place at once.
 */
export const isCrowded = (error: unknown): boolean =>
  isFleetError(error) && error.cause instanceof Error && 'reason' in error.cause && error.cause.reason === CONNECT_FAILED;

const SIGNALS: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));

const isOverdue = (signal: AbortSignal): boolean => isFleetError(signal.reason) && signal.reason.code === 'ER0212';

/** Closing a channel leaves its command running, so it is asked to end first; sshd passes this on except to root's commands. */
function abandon(channel: ClientChannel): void {
  channel.signal('TERM');
  channel.close();
}

/** Gathers what a stream brings, up to the limit; the returned function gives it as text. */
function collect(stream: NodeJS.ReadableStream, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_BYTES) tooMuch();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
