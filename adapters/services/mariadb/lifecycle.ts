import type { Permit } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import type { Host } from './host.ts';
import { optionFile, optionsMark } from './options.ts';
import { LEAST_KIB } from './room.ts';
import { ASK_REMOVAL, CONFIGURE, INSTALL, REMOVE, STOP, UP } from './scripts.ts';
import { dataDirOf, socketOf } from './service.ts';
import { usersStatements } from './statements.ts';

/** Until a command of seconds has ended on a busy host. */
const GRACE_MS = 30_000;
/** Making the system tables takes seconds, and minutes on a slow disk. */
const INSTALL_MS = 300_000;

const tenths = (ms: number): string => String(Math.ceil(ms / 100));

export async function install({ of, run }: Host): Promise<void> {
  const { binaries, user } = of.settings;
  const words = [binaries.install, binaries.server, binaries.client, binaries.dump, user];
  await run('install', INSTALL, words, { stdin: optionFile(of, 'shown'), deadlineMs: INSTALL_MS });
}

/** Starts the server where it does not run and its disk has room, and in any case gives it the users that the settings say. */
export async function start({ of, run, administer }: Host): Promise<void> {
  const { binaries, user, startMs } = of.settings;
  const words = [binaries.server, binaries.client, socketOf(of), user, tenths(startMs), String(LEAST_KIB), optionsMark(of)];
  await run('start', UP, words, { stdin: optionFile(of, 'shown'), deadlineMs: startMs + GRACE_MS });
  await administer('make the users of', usersStatements(of));
}

/** Brings the option file in line. A server that runs is let alone: it has read its own at its start, and reads it at the next. */
export async function configure({ of, run }: Host): Promise<void> {
  const stdin = optionFile(of, 'shown');
  await run('configure', CONFIGURE, [of.settings.binaries.server, String(Buffer.byteLength(stdin))], { stdin });
}

export async function stop({ of, run }: Host): Promise<void> {
  const { stopMs } = of.settings;
  await run('stop', STOP, [tenths(stopMs)], { deadlineMs: stopMs + GRACE_MS });
}

/** How long the first of two questions stands. */
const ASKED_MINUTES = 15;

/**
 * Deletes a server's data: the second time that it is asked to. The first is refused and only noted on the host; the same action,
 * however often it tries, asks once.
 */
export async function remove(host: Host, permit: Permit): Promise<void> {
  const { of, run } = host;
  const answer = (await run('remove', ASK_REMOVAL, [permit.token, String(ASKED_MINUTES)])).trim();
  if (answer === 'gone') return;
  if (answer !== 'confirmed')
    throw new FleetError(
      'ER0251',
      `${of.name} was not removed: ask again within ${ASKED_MINUTES} minutes to delete ${dataDirOf(of)} on ${of.ip} with all its data`,
    );
  await stop(host);
  if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${of.name} was removed`);
  await run('remove', REMOVE, [], { deadlineMs: INSTALL_MS });
}
