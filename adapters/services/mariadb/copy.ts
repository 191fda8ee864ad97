import { randomBytes } from 'node:crypto';
import type { Permit } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import { reveal, secret } from '../../http/secret.ts';
import { BEGIN_COPY, COPY, COPY_STATE, END_COPY } from './copy-scripts.ts';
import type { Host } from './host.ts';
import { passwordHash } from './password.ts';
import { type Mariadb, serverIdOf, socketOf } from './service.ts';
import { copierStatements, followStatements, noCopierStatements, usersStatements } from './statements.ts';

/** As long as the step that it is part of may take; the host goes on meanwhile, and the next try waits there for its end. */
const COPY_MS = 24 * 60 * 60 * 1000;

/** Whether what is there may be half of a copy: whoever began it had made sure that nothing there is missed. */
export const isHalfCopied = async ({ run }: Host): Promise<boolean> =>
  (await run('look at the copy of', COPY_STATE)).trim() === 'copying';

/**
 * Takes all data of a master in place of a replica's own, and follows the master from there. The replica fetches it itself, through
 * the port of the master, as a user who exists only meanwhile and whose password was made for this one copy.
 */
export async function copyFrom(master: Host, replica: Host, permit: Permit): Promise<void> {
  const { of } = replica;
  const { client, dump } = of.settings.binaries;
  const user = `fleetbeat_copy_${serverIdOf(of)}`;
  const password = secret(randomBytes(24).toString('hex'));
  if (!(await isHalfCopied(replica))) await replica.run('prepare the copy to', BEGIN_COPY);

  mustBeValid(permit, of);
  await master.administer('let a copy be made of', copierStatements(user, master.of, passwordHash(password)));
  try {
    const words = [client, socketOf(of), dump, master.of.ip, String(master.of.settings.port), user];
    await replica.run(`copy ${master.of.name} to`, COPY, words, {
      stdin: `[client]\npassword=${reveal(password)}\n`,
      deadlineMs: COPY_MS,
    });
  } finally {
    await master.administer('end the copy of', noCopierStatements(user, master.of));
  }

  mustBeValid(permit, of);
  await replica.administer('take over the copy on', [
    ...noCopierStatements(user, master.of),
    ...usersStatements(of),
    ...followStatements(of, master.of),
  ]);
  await replica.run('end the copy to', END_COPY);
}

export function mustBeValid(permit: Permit, { name }: Mariadb): void {
  if (!permit.valid()) throw new FleetError('ER0217', `the permit ended while ${name} was brought into its replication`);
}
