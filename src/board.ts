import type { Store } from './contracts.ts';
import { asInstant, type Instant } from './domain/identity.ts';
import type { View } from './domain/view.ts';
import type { GlobalHeartbeat } from './face.ts';
import { addTo, createPiece, readPiece, textOfPiece } from './piece.ts';

/** The last global heartbeat in the store, so that a standby and the command line see the same fleet. */
export interface Board {
  /** Writes the heartbeat down, at most every `everyMs`, off the path that fires actions. */
  post(
    beat: { readonly source: string; readonly epoch: string; readonly seq: number; readonly at: Instant },
    views: () => Iterable<View>,
  ): void;
  read(): Promise<GlobalHeartbeat | null>;
  /** Resolves once what was posted last is stored. */
  flush(): Promise<void>;
}

interface Manifest {
  readonly version: 1;
  readonly source: string;
  readonly epoch: string;
  readonly seq: number;
  readonly at: Instant;
  readonly pieces: number;
}

const MANIFEST = 'heartbeat';
/** With the view that exceeds it, a piece is well under the mebibyte that a memcached takes. */
const PIECE_BYTES = 900_000;
const pieceKey = (manifest: Pick<Manifest, 'epoch' | 'seq'>, i: number): string =>
  `heartbeat:${manifest.epoch}:${manifest.seq}:${i}`;

export function createBoard(
  store: Store,
  options: {
    readonly everyMs: number;
    readonly ttlMs: number;
    readonly turnSize: number;
    readonly yieldTurn: () => Promise<void>;
    /**
     * Asked before a heartbeat counts as the last one: whether the doctors will hear of every change that its views show. Whoever
     * starts next tells them only of what differs from it.
     */
    readonly isTold: () => Promise<boolean>;
    readonly onError: (error: unknown) => void;
  },
): Board {
  let due: (() => Promise<void>) | null = null;
  let writing: Promise<void> | null = null;
  let postedAt = Number.NEGATIVE_INFINITY;
  let last: Manifest | null = null;

  async function write(beat: Omit<Manifest, 'version' | 'pieces'>, views: Iterable<View>): Promise<void> {
    let pieces = 0;
    let piece = createPiece();
    let turn = 0;
    const put = () => store.set(pieceKey(beat, pieces++), textOfPiece(piece), options.ttlMs);
    for (const view of views) {
      if (piece.bytes > PIECE_BYTES) {
        await put();
        piece = createPiece();
      }
      addTo(piece, view);
      if (++turn % options.turnSize === 0) await options.yieldTurn();
    }
    await put();
    if (!(await options.isTold())) {
      postedAt = Number.NEGATIVE_INFINITY;
      await remove({ ...beat, pieces });
      return;
    }
    const manifest: Manifest = { version: 1, ...beat, pieces };
    await store.set(MANIFEST, JSON.stringify(manifest));
    const old = last;
    last = manifest;
    if (old) await remove(old);
  }

  async function remove(written: Pick<Manifest, 'epoch' | 'seq' | 'pieces'>): Promise<void> {
    for (let i = 0; i < written.pieces; i++) await store.delete(pieceKey(written, i));
  }

  function go(): void {
    if (writing || !due) return;
    const work = due;
    due = null;
    writing = work()
      .catch(options.onError)
      .finally(() => {
        writing = null;
        go();
      });
  }

  return {
    post(beat, views) {
      due = () => write(beat, views());
      if (beat.at - postedAt < options.everyMs) return;
      postedAt = beat.at;
      go();
    },
    async read() {
      for (let attempt = 0; attempt < 3; attempt++) {
        const text = await store.get(MANIFEST);
        const manifest = text === null ? null : readManifest(text);
        if (!manifest) return null;
        const pieces = await Promise.all(Array.from({ length: manifest.pieces }, (_, i) => store.get(pieceKey(manifest, i))));
        if (pieces.some((piece) => piece === null)) continue;
        const { source, epoch, seq, at } = manifest;
        return {
          source,
          epoch,
          seq,
          at,
          views: pieces.flatMap((piece) => (piece === null ? [] : readPiece(piece))),
        };
      }
      return null;
    },
    async flush() {
      go();
      while (writing) await writing;
    },
  };
}

function readManifest(text: string): Manifest | null {
  const found: unknown = JSON.parse(text);
  if (typeof found !== 'object' || found === null || !('version' in found) || found.version !== 1) return null;
  const manifest = found as Manifest;
  return { ...manifest, at: asInstant(manifest.at) };
}
