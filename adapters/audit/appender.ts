import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FleetError } from '../../src/errors.ts';

/** A file that only grows, by whole texts. */
export interface Appender {
  readonly size: number;
  /** Resolves once the text is on the disk; where it rejects, nothing of it counts. */
  append(text: string): Promise<void>;
  /** Gives the file another name, and begins a new one. */
  rotate(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Only its owner may read what an audit log says. */
const MODE = 0o600;

export const openAudited = (file: string): Promise<FileHandle> => open(file, 'a+', MODE);

/** @param end how many bytes of the file count, and whether there are more, which are cut before the next text */
export function createAppender(
  file: string,
  opened: FileHandle,
  end: { readonly size: number; readonly isTorn: boolean },
): Appender {
  let handle = opened;
  let { size, isTorn } = end;

  /** What is not ours to cut is left alone: somebody else writes to this file, or has taken it away. */
  async function refuseOthers(): Promise<void> {
    const { size: found, nlink } = await handle.stat();
    if (nlink === 0) throw new FleetError('ER0228', `${file} was removed while it was written to`);
    if (found === size || (isTorn && found > size)) return;
    throw new FleetError('ER0228', `${file} has ${found} bytes where we left it with ${size}: somebody else writes to it`);
  }

  return {
    get size() {
      return size;
    },
    async append(text) {
      await refuseOthers();
      if (isTorn) await handle.truncate(size);
      isTorn = true;
      await handle.appendFile(text);
      await handle.datasync();
      isTorn = false;
      size += Buffer.byteLength(text);
    },
    async rotate(name) {
      await refuseOthers();
      await rename(file, name);
      const next = await openAudited(file);
      await handle.close();
      handle = next;
      size = 0;
      isTorn = false;
      await syncFolder(dirname(file));
    },
    close: () => handle.close(),
  };
}

/** A new name is on the disk once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
