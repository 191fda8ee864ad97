import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { excerpt } from '../../../src/domain/excerpt.ts';
import type { Ip } from '../../../src/domain/identity.ts';

/** How a server answered: it kept and returned a value, nobody listens, or something is wrong with it. */
export type Answer =
  | { readonly kind: 'sound'; readonly runId: string }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unsound'; readonly reason: string };

/** Removed by the server itself, should we not live to do so. */
const EXPIRES_SECONDS = 60;
/** The longest answer that is read; the statistics are about 2 KB. */
const ANSWER_CHARACTERS = 65_536;

/**
 * Stores a value in a memcached, reads it back, deletes it and asks for the server's identity: one conversation, one round trip.
 * Rejects only with the signal's reason.
 */
export function converse(ip: Ip, port: number, deadlineMs: number, signal: AbortSignal): Promise<Answer> {
  const key = `fleetbeat-probe-${randomBytes(12).toString('hex')}`;
  const value = randomBytes(12).toString('hex');
  const store = `set ${key} 0 ${EXPIRES_SECONDS} ${value.length}\r\n${value}`;
  const request = [store, `get ${key}`, `delete ${key}`, 'stats', ''].join('\r\n');
  const expected = `STORED\r\nVALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\nDELETED\r\n`;

  return new Promise((resolve, reject) => {
    const socket = connect({ host: ip, port, noDelay: true });
    let heard = '';

    const settle = (answer: Answer) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(answer);
    };
    const isUnsound = (reason: string) => settle({ kind: 'unsound', reason: `${ip}:${port} ${reason}` });
    const giveUp = () => {
      isUnsound('was not waited for');
      reject(signal.reason);
    };
    const timer = setTimeout(() => isUnsound(`did not answer within ${deadlineMs} ms`), deadlineMs);

    socket.setEncoding('latin1');
    socket.once('connect', () => socket.write(request));
    socket.on('data', (text: string) => {
      heard += text;
      const start = heard.slice(0, expected.length);
      if (!expected.startsWith(start)) return isUnsound(`answered ${JSON.stringify(excerpt(unexpectedLine(heard, expected)))}`);
      if (heard.length > ANSWER_CHARACTERS) return isUnsound('does not come to an end');
      if (heard.length > expected.length && heard.endsWith('\r\nEND\r\n'))
        settle(identify(heard.slice(expected.length), ip, port));
    });
    // They stay, for a socket may fail once more while it is torn down.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' ? settle({ kind: 'refused' }) : isUnsound(`failed: ${error.code ?? error.message}`),
    );
    socket.on('close', () => isUnsound('closed the connection'));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

function unexpectedLine(heard: string, expected: string): string {
  const wanted = expected.split('\r\n');
  return heard.split('\r\n').find((line, index) => line !== wanted[index]) ?? '';
}

/** A server counts `time` and `uptime` with one clock, so that their difference, when it started, stays the same while it runs. */
function identify(statistics: string, ip: Ip, port: number): Answer {
  const numberOf = (name: string) => new RegExp(`^STAT ${name} (\\d+)\\r$`, 'm').exec(statistics)?.[1];
  const [pid, time, uptime] = [numberOf('pid'), numberOf('time'), numberOf('uptime')];
  if (!pid || !time || !uptime) return { kind: 'unsound', reason: `${ip}:${port} has statistics without pid, time and uptime` };
  return { kind: 'sound', runId: `${pid}-${Number(time) - Number(uptime)}` };
}
