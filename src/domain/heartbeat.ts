import type { Code } from './codes.ts';
import type { Instant, Ip } from './identity.ts';
import type { InstanceFacts } from './instance.ts';
import type { ServiceFacts } from './service.ts';

/** Something that went wrong with one subject, told and not thrown. */
export interface Problem {
  readonly subject: string;
  readonly code: Code;
  readonly message: string;
}

/** One read of one source. */
export interface Reading<F> {
  readonly items: readonly F[];
  /** When the read began. */
  readonly readAt: Instant;
  /** Whether absence from `items` may be believed: all pages of this source's scope were read. */
  readonly complete: boolean;
  /** Failures of single subjects; they do not make the reading incomplete. */
  readonly problems: readonly Problem[];
  /** The provider was not read again since the last reading: what it does not list is missed no second time. */
  readonly isRemembered?: true;
}

/** The facts of one source at one instant: instances, services, or both. */
export interface Heartbeat {
  readonly source: string;
  /** Changes when the source restarts. */
  readonly epoch: string;
  /** Grows with every heartbeat of an epoch. */
  readonly seq: number;
  /** The source's own time, ISO 8601: shown, never compared beyond `policy.skewMs`. */
  readonly hostAt?: string;
  readonly instances?: Reading<InstanceFacts>;
  readonly services?: Reading<ServiceFacts>;
  /** The host that speaks. With it, only services on these ips are believed. */
  readonly host?: { readonly ips: readonly Ip[]; readonly ram?: string };
}
