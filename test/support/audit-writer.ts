import { asInstant } from 'fleetbeat';
import { audit } from 'fleetbeat/adapters/audit';
import { auditEntry } from './audit-entry.ts';

/** A process that writes to an audit log until it is killed, and says which lines are on the disk. */
const [, , file = ''] = process.argv;
const log = await audit({ file, maxBytes: 20_000 });
for (let n = 1; ; n++) {
  const written = Array.from({ length: 3 }, (_, i) => log.write(auditEntry({ what: `${n}.${i}`, at: asInstant(n) })));
  await Promise.all(written);
  process.stdout.write(`${n}\n`);
}
