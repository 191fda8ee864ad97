import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { FleetError, messageOf } from '../../errors.ts';

/** A file of this machine, or a function that gives its bytes; it is called once. */
export type ArchiveSource = string | (() => Uint8Array | Promise<Uint8Array>);

/** An archive that is ready to be sent in pieces. */
export interface Archive {
  readonly sha256: string;
  readonly bytes: number;
  readonly packing: 'gzip' | 'plain';
  /** The piece that begins at `from`; no more of a file is in memory at once than is asked for. */
  read(from: number, bytes: number): Promise<Uint8Array>;
}

/** @returns opens the archive; what it is made of is read once, and again where the file has changed since */
export function archiveOf(source: ArchiveSource): () => Promise<Archive> {
  let opened: { readonly stamp: string; readonly archive: Promise<Archive> } | undefined;
  return async () => {
    const stamp = typeof source === 'string' ? await stampOf(source) : '';
    if (opened?.stamp !== stamp) {
      const archive = typeof source === 'string' ? fromFile(source) : fromBytes(source);
      opened = { stamp, archive };
      // What could not be read is read anew by the next who asks.
      archive.catch(() => {
        opened = undefined;
      });
    }
    return opened.archive;
  };
}

const unreadable = (path: string, cause: unknown): FleetError =>
  new FleetError('ER0230', `the artefact ${JSON.stringify(path)} cannot be read: ${messageOf(cause)}`, { cause });

async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

const READ_BYTES = 2 ** 20;

async function fromFile(path: string): Promise<Archive> {
  const read = async (from: number, bytes: number): Promise<Uint8Array> => {
    const file = await open(path, 'r').catch((cause) => {
      throw unreadable(path, cause);
    });
    try {
      const piece = new Uint8Array(bytes);
      let filled = 0;
      for (;;) {
        const { bytesRead } = await file.read(piece, filled, bytes - filled, from + filled);
        filled += bytesRead;
        if (bytesRead === 0 || filled === bytes) return piece.subarray(0, filled);
      }
    } finally {
      await file.close();
    }
  };

  const hash = createHash('sha256');
  const first = await read(0, READ_BYTES);
  let bytes = first.length;
  hash.update(first);
  for (let piece = first; piece.length === READ_BYTES; ) {
    piece = await read(bytes, READ_BYTES);
    hash.update(piece);
    bytes += piece.length;
  }
  return { sha256: hash.digest('hex'), bytes, packing: packingOf(first), read };
}

async function fromBytes(give: () => Uint8Array | Promise<Uint8Array>): Promise<Archive> {
  const all = await give();
  return {
    sha256: createHash('sha256').update(all).digest('hex'),
    bytes: all.length,
    packing: packingOf(all),
    read: async (from, bytes) => all.subarray(from, from + bytes),
  };
}

const packingOf = (start: Uint8Array): Archive['packing'] => (start[0] === 0x1f && start[1] === 0x8b ? 'gzip' : 'plain');
