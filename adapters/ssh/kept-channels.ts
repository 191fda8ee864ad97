import { randomBytes } from 'node:crypto';
import type { Client, ClientChannel } from 'ssh2';
import type { ShellResult } from '../../src/contracts.ts';
import type { Slots } from '../../src/domain/slots.ts';
import { FleetError } from '../../src/errors.ts';
import { OUTPUT_BYTES } from './execution.ts';
import { endedBy } from './failure.ts';

/**
 * Shells of one host that wait for the next command, so that one which only looks costs a message there and one back, and neither a
 * channel nor a login shell of its own.
 */
export interface KeptChannels {
  /**
   * Runs a line in a shell that is free, or in a new one while there may be more.
   *
   * @returns null where it was not run to its end here: all are taken, the host keeps none, or its shell went away
   * @throws FleetError ER0223 for too much output, and what the signal was aborted with
   */
  ask(line: string, what: string, signal: AbortSignal): Promise<ShellResult | null>;
}

interface Kept {
  readonly channel: ClientChannel;
  /** Takes what arrives, or undefined where the shell is gone; set while a command runs. */
  hear: ((chunk: Buffer | undefined) => void) | undefined;
}

/** @param most how many there may be; each takes one of the connection's channels for good */
export function keptChannels(client: Client, channels: Slots, most: number, isOpen: () => boolean): KeptChannels {
  const free: Kept[] = [];
  let count = 0;
  let limit = most;

  /** Resolves with null where the host opens none. It takes a place among the channels until it is closed. */
  const open = (what: string, signal: AbortSignal): Promise<Kept | null> =>
    new Promise((resolve, reject) => {
      const giveUp = () => reject(endedBy(signal, what));
      signal.addEventListener('abort', giveUp, { once: true });
      const settle = (kept: Kept | null) => {
        signal.removeEventListener('abort', giveUp);
        resolve(kept);
      };
      const live = () =>
        new Promise<void>((leave) => {
          client.once('close', leave);
          client.exec(SHELL, (refusal, channel) => {
            if (refusal) return leave();
            if (signal.aborted) channel.close();
            channel.on('close', leave);
            settle(keep(channel));
          });
        });
      count++;
      channels
        .use(what, signal, live)
        .finally(() => {
          count--;
          settle(null);
        })
        .catch(() => {});
    });

  const keep = (channel: ClientChannel): Kept => {
    const kept: Kept = { channel, hear: undefined };
    const end = () => {
      const place = free.indexOf(kept);
      if (place >= 0) free.splice(place, 1);
      kept.hear?.(undefined);
    };
    channel.on('data', (chunk: Buffer) => kept.hear?.(chunk));
    channel.on('error', end).on('close', end);
    // What sh says of itself is of no use, and unread it would fill the channel.
    channel.stderr.resume();
    return kept;
  };

  const converse = (kept: Kept, line: string, what: string, signal: AbortSignal): Promise<ShellResult | null> =>
    new Promise((resolve, reject) => {
      const mark = randomBytes(12).toString('hex');
      const answer = answerReader(mark);
      const settle = () => {
        kept.hear = undefined;
        signal.removeEventListener('abort', end);
      };
      const abandon = (error: unknown) => {
        settle();
        kept.channel.signal('TERM');
        kept.channel.close();
        reject(error);
      };
      const end = () => abandon(endedBy(signal, what));
      kept.hear = (chunk) => {
        if (chunk === undefined) {
          settle();
          return resolve(null);
        }
        const result = answer(chunk);
        if (result === 'too much')
          return abandon(new FleetError('ER0223', `${what} wrote more than ${OUTPUT_BYTES} bytes on one stream`));
        if (result === null) return;
        settle();
        free.push(kept);
        resolve(result);
      };
      if (signal.aborted) return end();
      signal.addEventListener('abort', end, { once: true });
      kept.channel.write(requestOf(line, mark));
    });

  return {
    async ask(line, what, signal) {
      let kept = free.pop();
      if (!kept) {
        const opened = count < limit && isOpen() ? await open(what, signal) : null;
        if (!opened) return null;
        kept = opened;
      }
      const result = await converse(kept, line, what, signal);
      // A host that runs something else in place of our shell does so every time.
      if (result === null && isOpen()) limit = 0;
      return result;
    },
  };
}

/** In place of the login shell, whichever that is. It reads what it is to do from the channel. */
const SHELL = 'exec sh';

/**
 * What a kept shell is sent for one command, whose words stand quoted in \`line\`: to run it in a shell of its own, then to write its
 * exit and its errors between marks that it cannot know. In braces, so that of a request that was cut off nothing is run.
 */
export const requestOf = (line: string, mark: string): string =>
  `{ e=$( ( ${line} ) </dev/null 2>&1 >&3 3>&- ); s=$?; } 3>&1; printf '\\n%s %s\\n%s\\n%s\\n' ${mark} "$s" "$e" ${mark}\n`;

/** @returns takes what arrives; gives the result once it is whole, null before that */
function answerReader(mark: string): (chunk: Buffer) => ShellResult | 'too much' | null {
  const end = Buffer.from(`\n${mark}\n`);
  let whole: Buffer | undefined;
  return (chunk) => {
    whole = whole ? Buffer.concat([whole, chunk]) : chunk;
    if (whole.length > 2 * OUTPUT_BYTES) return 'too much';
    if (!whole.subarray(-end.length).equals(end)) return null;
    const text = whole.toString('utf8');
    const middle = text.indexOf(`\n${mark} `);
    const line = text.indexOf('\n', middle + 1);
    if (middle < 0 || line < 0) return null;
    const stdout = text.slice(0, middle);
    const stderr = text.slice(line + 1, -end.length);
    if (stdout.length > OUTPUT_BYTES || stderr.length > OUTPUT_BYTES) return 'too much';
    return { exit: Number(text.slice(middle + mark.length + 2, line)), stdout, stderr };
  };
}
