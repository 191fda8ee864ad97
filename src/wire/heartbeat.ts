import type { Heartbeat, Reading } from '../domain/heartbeat.ts';
import { type Instant, isName } from '../domain/identity.ts';
import type { View } from '../domain/view.ts';
import { rowsOf } from './agreement.ts';
import { type HeartbeatDocument, type HostBody, WIRE_VERSION } from './document.ts';
import { hostOf, ipsOf } from './host.ts';
import { instanceFacts, instanceRow } from './instance.ts';
import { malformed, shown } from './refusal.ts';
import { serviceFacts, serviceRow } from './service.ts';
import { isoTime } from './time.ts';

/** The cloud of instances that come without one. */
const NO_CLOUD = 'wire';

/** The epoch of sources that have none: their heartbeats are in the order in which they arrive. */
const ARRIVAL = 'arrival';

export interface HeartbeatOptions {
  /** When the document was taken, on the fleet's clock. */
  readonly readAt: Instant;
  /** Grows with every document that is taken: the sequence of one that has none. */
  readonly arrival: number;
  /** The cloud of instances that do not say their own; `wire` unless said. */
  readonly cloud?: string;
}

/**
 * The facts of a heartbeat. Without `source` it comes from the first ip of its host, without `epoch` and `seq` its place is
 * that of its arrival. A level that the document does not have is not read; one that it has is complete.
 *
 * @throws FleetError ER0222 where `cloud` is no name
 */
export function toHeartbeat({ body }: HeartbeatDocument, options: HeartbeatOptions): Heartbeat {
  const { readAt, arrival } = options;
  const cloud = cloudName(body.cloud ?? options.cloud ?? NO_CLOUD);
  const reading = <Facts>(items: readonly Facts[]): Reading<Facts> => ({ items, readAt, complete: true, problems: [] });
  return {
    source: body.source ?? (body.host && ipsOf(body.host)[0]) ?? 'unknown',
    epoch: body.epoch ?? ARRIVAL,
    seq: body.seq ?? arrival,
    ...(body.at !== undefined && { hostAt: body.at }),
    ...(body.host !== undefined && { host: hostOf(body.host) }),
    ...(body.instances_status !== undefined && {
      instances: reading(
        rowsOf(body.instances_status.instances)
          .map((row) => instanceFacts(row, cloud, readAt))
          .filter((facts) => facts !== null),
      ),
    }),
    ...(body.services_status !== undefined && {
      services: reading(rowsOf(body.services_status.services).map((row) => serviceFacts(row, readAt))),
    }),
  };
}

function cloudName(cloud: string): string {
  if (isName(cloud)) return cloud;
  throw malformed({ what: 'heartbeat', where: 'cloud', found: shown(cloud), allowed: 'the name of a cloud' });
}

/** Who writes a heartbeat, and when. */
export interface HeartbeatMeta {
  readonly source: string;
  readonly epoch: string;
  readonly seq: number;
  /** The writer's own time: milliseconds, or ISO 8601 in UTC. */
  readonly at: Instant | string;
  /** Only of a host that speaks for itself: it is believed for the services on its own ips alone. */
  readonly host?: HostBody;
}

/**
 * A heartbeat that says what is known of all these entities, for a standby, a command line or a doctor.
 *
 * @throws FleetError ER0222 where `meta.at` is no time
 */
export function fromViews(views: Iterable<View>, meta: HeartbeatMeta): HeartbeatDocument {
  const all = [...views];
  const at = isoTime(meta.at);
  return {
    kind: 'heartbeat',
    body: {
      version: WIRE_VERSION,
      source: meta.source,
      epoch: meta.epoch,
      seq: meta.seq,
      at,
      level: 'services',
      command: { action: 'ping', group: 'all', type: 'all' },
      ...(meta.host !== undefined && { host: meta.host }),
      instances_status: { instances: all.filter((view) => view.level === 'instances').map((view) => named(instanceRow(view))) },
      services_status: { services: all.filter((view) => view.level === 'services').map((view) => named(serviceRow(view, at))) },
    },
  };
}

const named = <Row>([key, row]: readonly [string, Row]) => ({ [key]: row });
