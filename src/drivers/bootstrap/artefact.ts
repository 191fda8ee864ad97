import { withinDeadline } from '../../deadline.ts';
import { excerpt } from '../../domain/excerpt.ts';
import { FleetError, isFleetError } from '../../errors.ts';
import { type Archive, type ArchiveSource, archiveOf } from './archive.ts';
import { DISCARD, RECEIVE, RELEASE_MARK, SWITCH, UNPACK } from './artefact-scripts.ts';
import { type Host, isPlace, type Rung, runScript } from './host.ts';
import { isReleaseVersion, RELEASE_VERSIONS } from './version.ts';

/** An archive of this machine that hosts get, unpack and use by its version. */
export interface Artefact {
  /** A tar archive, plain or by gzip: a file of this machine, or a function that gives its bytes. Not read where hosts have the version. */
  readonly file: ArchiveSource;
  /** Names the folder of the release: a letter or digit, then at most 99 letters, digits, `.`, `_`, `+`, `~`, `-`. */
  readonly version: string;
  /** The SHA-256 of the archive in hex. Default: whatever the file has. */
  readonly sha256?: string;
  /** A folder on the hosts, absolute or from `~/`. Releases are unpacked at `<to>/releases/<version>`; `<to>/current` leads to the one in use. */
  readonly to: string;
  /** How many releases stay on a host, the one in use among them. Default 3. */
  readonly keep?: number;
  /** Run in a new release before it is switched to. */
  readonly argv?: readonly string[];
}

/** A rung that an artefact brings about. Another version makes hosts climb again; one that they still have is switched to. */
export interface BootstrapArtefact {
  readonly artefact: Artefact;
  /** How long all of it may take on one host. Default 600000. */
  readonly deadlineMs?: number;
}

/** So much is in memory for each host at once, and is sent again after a connection was lost. */
const PIECE_BYTES = 4 * 2 ** 20;

/** How long a host may take for what is done at once. */
const SHORT_MS = 30_000;

/** @throws FleetError ER0230 for an artefact that could not be brought anywhere or known */
export function artefactRung(name: string, { artefact, deadlineMs = 600_000 }: BootstrapArtefact): Rung {
  const { version, to, keep, sha256, argv } = readArtefact(name, artefact);
  const open = archiveOf(artefact.file);

  const script = (host: Host, text: string, words: readonly string[], what: string, ms = SHORT_MS) =>
    runScript(host, text, [to, version, ...words], { what: `${what} the artefact of its ${name} ${version}`, deadlineMs: ms });

  const opened = async (): Promise<Archive> => {
    const archive = await open();
    if (sha256 !== '' && archive.sha256 !== sha256)
      throw new FleetError('ER0230', `the artefact of the ${name} has the checksum ${archive.sha256}, configured is ${sha256}`);
    return archive;
  };

  /** Sends the pieces that have not arrived. */
  const send = async (host: Host, archive: Archive): Promise<void> => {
    const { folder, free, arrived } = readArrived(host, await script(host, RECEIVE, [archive.sha256], 'receiving'));
    const pieces = piecesOf(archive.bytes);
    const missing = pieces.filter((piece) => arrived.get(piece.index) !== piece.bytes);
    // What is unpacked is no smaller than the archive, which stays until then.
    const needed = missing.reduce((sum, { bytes }) => sum + bytes, archive.bytes);
    if (free < needed)
      throw new FleetError('ER0270', `${host.ip}: ${to} has ${free} bytes left, the artefact needs ${needed}`, {
        retryable: true,
      });
    for (const { index, from, bytes } of missing) {
      if (!host.permit.valid()) throw new FleetError('ER0217', `${host.ip}: the permit ended before piece ${index} was sent`);
      await host.shell.put(host.ip, `${folder}/${index}`, await archive.read(from, bytes), 0o600, host.signal);
    }
  };

  const climb = async (host: Host): Promise<void> => {
    const answer = await script(host, SWITCH, [String(keep), sha256], 'switching to');
    if (answer.trim() !== 'missing') return;
    const archive = await opened();
    try {
      await send(host, archive);
      const count = String(piecesOf(archive.bytes).length);
      await script(host, UNPACK, [archive.sha256, String(keep), count, archive.packing, ...argv], 'unpacking', deadlineMs);
    } catch (error) {
      // A full disk keeps nothing of ours; anything else may go on where it was.
      if (isFleetError(error) && error.code === 'ER0270')
        await Promise.allSettled([script(host, DISCARD, [archive.sha256], 'discarding')]);
      throw error;
    }
  };

  return {
    name,
    mark: ['file', `${to}/current/${RELEASE_MARK}`],
    version,
    climb: (host) =>
      withinDeadline(deadlineMs, `bringing the ${name} ${version} to ${host.ip}`, host.signal, (signal) =>
        climb({ ...host, signal }),
      ),
  };
}

interface Piece {
  readonly index: number;
  readonly from: number;
  readonly bytes: number;
}

const piecesOf = (bytes: number): readonly Piece[] =>
  Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, (_, index) => {
    const from = index * PIECE_BYTES;
    return { index, from, bytes: Math.min(PIECE_BYTES, bytes - from) };
  });

/** What {@link RECEIVE} writes. */
function readArrived({ ip }: Host, text: string) {
  const [folder = '', free = '', ...pieces] = text.trim().split('\n');
  if (!isPlace(folder) || !/^\d+$/.test(free))
    throw new FleetError('ER0018', `${ip}: it does not say where to put an artefact: ${excerpt(text)}`, { retryable: true });
  const arrived = new Map(pieces.map((line): [number, number] => [Number(line.split(' ')[0]), Number(line.split(' ')[1])]));
  return { folder, free: Number(free) * 1024, arrived };
}

function readArtefact(name: string, { version, to, keep = 3, sha256 = '', argv = [] }: Artefact) {
  const refuse = (detail: string) => new FleetError('ER0230', `the artefact of the ${name} ${detail}`);
  const shown = (text: string) => JSON.stringify(excerpt(text));
  if (!isReleaseVersion(version)) throw refuse(`has a version of ${RELEASE_VERSIONS}, found ${shown(version)}`);
  if (!isPlace(to)) throw refuse(`goes to an absolute folder, or one from ~/, found ${shown(to)}`);
  if (!Number.isSafeInteger(keep) || keep < 1) throw refuse(`keeps at least one release, found ${keep}`);
  if (sha256 !== '' && !/^[0-9a-f]{64}$/i.test(sha256)) throw refuse(`has a checksum of 64 hex digits, found ${shown(sha256)}`);
  if (argv.length > 0 && !argv[0]) throw refuse('has no program in its argv');
  return { version, to, keep, sha256: sha256.toLowerCase(), argv };
}
