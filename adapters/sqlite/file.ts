import { fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { FleetError } from '../../src/errors.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';

const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const USER_VERSION_OFFSET = 60;
const APPLICATION_ID_OFFSET = 68;
const OWNER_ONLY = 0o600;

/** The absolute path of a store's file: no engine ever takes it for a URL, or for a database in memory. */
export function checkedPath(file: string): string {
  if (typeof file === 'string' && file !== '' && file !== ':memory:' && !file.includes('\0')) return resolve(file);
  throw new FleetError('ER0230', `the file of sqlite is ${JSON.stringify(file)}, but must be a path; for no file, use memory()`);
}

/**
 * Makes the file where it is missing, and looks at its header where it is not, before any engine may write to it.
 *
 * @throws FleetError ER0230 where it cannot be a store of ours; nothing was changed then
 */
export function claimFile(path: string): void {
  const descriptor = descriptorOf(path);
  const bytes = Buffer.alloc(HEADER_BYTES);
  const header = bytes.subarray(
    0,
    reading(path, () => readSync(descriptor, bytes, 0, HEADER_BYTES, 0)),
  );
  if (header.length > 0) refuseForeign(path, header);
}

/**
 * By device and inode, and never closed: with any descriptor of a file, a process gives up all the locks that it has on it,
 * also those of a database that is open on it elsewhere in the process.
 */
const descriptors = new Map<string, number>();

function descriptorOf(path: string): number {
  const found = reading(path, () => statSync(path, { throwIfNoEntry: false }));
  if (found === undefined) return keep(create(path));
  return descriptors.get(identityOf(found)) ?? keep(reading(path, () => openSync(path, 'r')));
}

function keep(descriptor: number): number {
  descriptors.set(identityOf(fstatSync(descriptor)), descriptor);
  return descriptor;
}

const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

function create(path: string): number {
  try {
    return openSync(path, 'a+', OWNER_ONLY);
  } catch (cause) {
    const reason = codeOf(cause);
    const detail = reason === 'ENOENT' ? `its folder ${dirname(path)} does not exist` : reason;
    throw new FleetError('ER0230', `the store ${path} cannot be made: ${detail}`, { cause });
  }
}

function reading<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new FleetError('ER0230', `the store ${path} cannot be read: ${codeOf(cause)}`, { cause });
  }
}

function refuseForeign(path: string, header: Buffer): void {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new FleetError('ER0230', `${path} is no store of fleetbeat: it is no SQLite file; it was left as it is`);
  }
  refuseOthers(path, header.readUInt32BE(APPLICATION_ID_OFFSET), header.readUInt32BE(USER_VERSION_OFFSET));
}

/** Refuses what another program, or a later version of this one, has made. */
export function refuseOthers(path: string, applicationId: number, userVersion: number): void {
  if (applicationId !== APPLICATION_ID) {
    throw new FleetError(
      'ER0230',
      `${path} is no store of fleetbeat: its application_id is ${applicationId}, not ${APPLICATION_ID}; it was left as it is`,
    );
  }
  if (userVersion > SCHEMA_VERSION) {
    throw new FleetError(
      'ER0230',
      `${path} was written by a newer fleetbeat: its user_version is ${userVersion}, at most ${SCHEMA_VERSION} is known; it was left as it is`,
    );
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);
