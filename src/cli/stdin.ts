import { DEFAULT_LIMITS } from '../wire/index.ts';

/** One line of input; null where it was longer than anything that is taken. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Uint8Array | null;
}

const LF = 0x0a;

/** The lines of a stream that are not blank, each as soon as it has come. A line that is too long is passed over, not kept. */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array | string>,
  maxBytes = DEFAULT_LIMITS.maxBytes,
): AsyncGenerator<Line> {
  let number = 1;
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array): void => {
    size += part.length;
    if (size <= maxBytes) parts.push(part);
    else parts = [];
  };
  const end = (): Line => {
    const line = { number, bytes: size <= maxBytes ? Buffer.concat(parts) : null };
    number++;
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let rest: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let at = rest.indexOf(LF); at >= 0; at = rest.indexOf(LF)) {
      add(rest.subarray(0, at));
      rest = rest.subarray(at + 1);
      const line = end();
      if (!isBlank(line)) yield line;
    }
    add(rest);
  }
  const last = end();
  if (!isBlank(last)) yield last;
}

const BLANKS = new Set([0x20, 0x09, 0x0d]);

const isBlank = ({ bytes }: Line): boolean => bytes?.every((byte) => BLANKS.has(byte)) ?? false;

/**
 * The documents of a stream: one a line, each as soon as it has come. Where the first line is only the beginning of one, all of
 * the input is one document, unless it is none and other lines are.
 */
export async function* documentsOf(lines: AsyncIterable<Line>): AsyncGenerator<Line> {
  const iterator = lines[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  if (!isBeginning(first.value)) yield first.value;
  else yield* wholeOrLines([first.value, ...(await allOf(iterator))]);
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

async function allOf(iterator: AsyncIterator<Line>): Promise<readonly Line[]> {
  const lines: Line[] = [];
  let size = 0;
  while (size <= DEFAULT_LIMITS.maxBytes) {
    const next = await iterator.next();
    if (next.done) break;
    lines.push(next.value);
    size += next.value.bytes?.length ?? DEFAULT_LIMITS.maxBytes;
  }
  return lines;
}

function wholeOrLines(lines: readonly Line[]): readonly Line[] {
  const whole = textOf(lines);
  if (!parses(whole) && lines.slice(1).some(({ bytes }) => bytes !== null && parses(bytes))) return lines;
  return [{ number: lines[0]?.number ?? 1, bytes: whole }];
}

/** The text that these are the lines of, blank lines too, so that a position in it is right. */
function textOf(lines: readonly Line[]): Uint8Array {
  let number = lines[0]?.number ?? 1;
  const parts = lines.flatMap((line) => {
    const breaks = Buffer.from('\n'.repeat(line.number - number));
    number = line.number;
    return [breaks, line.bytes ?? TOO_LONG];
  });
  return Buffer.concat(parts);
}

/** Stands for a line that was not kept; it makes the whole no document. */
const TOO_LONG = Buffer.from('…');

/** Whether a line can only be understood with those after it. One that closes what it opens is wrong by itself. */
function isBeginning({ bytes }: Line): boolean {
  const text = bytes === null ? '' : Buffer.from(bytes).toString('utf8').trim();
  return /^[{[]/.test(text) && !/[}\]]$/.test(text);
}

function parses(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
