import { type FileHandle, open } from 'node:fs/promises';
import { FleetError } from '../../src/errors.ts';
import { linesOf, rotatedFiles } from './files.ts';
import { type ChainHead, GENESIS, unseal } from './line.ts';

/** How a file ends. */
export interface ChainEnd {
  readonly head: ChainHead;
  /** The bytes of its whole lines. */
  readonly size: number;
  /** The bytes behind them: of a line that a process died over. */
  readonly torn: number;
  /** The number of its first line, or of the first that it will have. */
  readonly first: number;
}

/** No line of ours is so long. */
const TAIL_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;
const START = '{"seq":';

/**
 * Finds where the chain goes on in a file.
 *
 * @throws FleetError ER0228 where what it holds is no audit log, or its last line is not as it was written
 */
export async function chainEnd(file: string, handle: FileHandle): Promise<ChainEnd> {
  const { size: bytes } = await handle.stat();
  const tail = Buffer.alloc(Math.min(bytes, TAIL_BYTES));
  await handle.read(tail, 0, tail.length, bytes - tail.length);
  const end = tail.lastIndexOf(LINE_FEED) + 1;
  const torn = tail.length - end;
  if (end === 0) {
    if (!mayBeOurs(tail) || bytes > tail.length) throw foreign(file, 'it holds no line of one');
    const head = await lastOfRotated(file);
    return { head, size: 0, torn, first: head.seq + 1 };
  }
  const last = tail.subarray(tail.lastIndexOf(LINE_FEED, end - 2) + 1, end - 1).toString('utf8');
  const line = unseal(last);
  if (!line) throw foreign(file, 'its last line is not as it was written');
  return { head: { seq: line.seq, hash: line.hash }, size: bytes - torn, torn, first: await firstSeq(file) };
}

/** A first line that a process died over: its beginning, or what a disk makes of it. */
function mayBeOurs(torn: Buffer): boolean {
  const text = torn.toString('latin1').replace(/\0+$/, '');
  return text.startsWith(START) || START.startsWith(text);
}

async function lastOfRotated(file: string): Promise<ChainHead> {
  const last = (await rotatedFiles(file)).at(-1);
  if (last === undefined) return GENESIS;
  const handle = await open(last, 'r');
  try {
    return (await chainEnd(last, handle)).head;
  } finally {
    await handle.close();
  }
}

async function firstSeq(file: string): Promise<number> {
  for await (const { text } of linesOf(file)) {
    const line = unseal(text);
    if (line) return line.seq;
    break;
  }
  throw foreign(file, 'its first line is not as it was written');
}

const foreign = (file: string, reason: string): FleetError =>
  new FleetError('ER0228', `${file} is no audit log that can go on: ${reason}; it was left as it is, move it aside`);
