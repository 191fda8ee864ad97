import { asInstant, serviceKey } from 'fleetbeat';
import type { AuditEntry } from 'fleetbeat/adapters/audit';

/** Something that happened. */
export const auditEntry = (entry: Partial<AuditEntry> = {}): AuditEntry => ({
  at: asInstant(Date.UTC(2026, 4, 1, 8, 30)),
  who: 'host1',
  what: 'services start node10',
  entity: serviceKey('node10'),
  why: 'instances 10.0.0.102 is running',
  observation: { key: serviceKey('node10'), readAt: asInstant(Date.UTC(2026, 4, 1, 8, 29)), source: 'services' },
  before: 'waiting',
  after: 'done',
  action: 'a1',
  attempt: 0,
  code: null,
  ...entry,
});
