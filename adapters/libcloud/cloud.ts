import type { KnownCode } from '../../src/domain/codes.ts';
import type { Ip } from '../../src/domain/identity.ts';
import type { Power } from '../../src/domain/instance.ts';
import type { Secret } from '../http/secret.ts';
import type { Format } from './format.ts';
import type { Asking, RestOptions } from './rest.ts';
import type { Query, Route } from './route.ts';
import type { Ask, Send, Session } from './session.ts';

/** What every cloud takes, beside its own options. */
export interface CloudOptions<Settings extends object = Record<string, unknown>> extends RestOptions {
  /** The name of the cloud in keys and on the bill. Default that of the adapter. */
  readonly name?: string;
  /** Default 30000. */
  readonly everyMs?: number;
  /** Calls at once. Default 8. */
  readonly parallel?: number;
  /** How long a launch that was perhaps made before is looked for. Default 60000. */
  readonly lookMs?: number;
  /** How often it is looked for meanwhile. Default 3000. */
  readonly lookEveryMs?: number;
  /** What is launched, in the provider's words, and what is different at single addresses. Without it nothing is launched. */
  readonly launch?: LaunchSettings<Settings>;
}

export type LaunchSettings<Settings extends object> = Settings & {
  readonly byIp?: Readonly<Record<string, Partial<Settings>>>;
};

/** One instance as the list shows it. Whatever is not what it should be is told as a problem of this instance. */
export interface Listed {
  /** A text or a number. */
  readonly id: unknown;
  /** The addresses that may be the instance's, best first; the first that is one is taken. Nothing and null are none. */
  readonly ips: readonly unknown[];
  /** The provider's word for its state. */
  readonly state: unknown;
  /** What the provider calls it, for people. */
  readonly name?: unknown;
  /** Where the state's word alone does not say it. */
  readonly power?: Power | undefined;
  /** Words by which a launch finds again what it made. */
  readonly tags?: readonly unknown[] | undefined;
  /** Why it is in no good state. */
  readonly fault?: unknown;
}

/** An instance whose words were all checked. */
export interface Known {
  readonly id: string;
  readonly ip: Ip | null;
  readonly power: Power;
  readonly raw: string;
  readonly name?: string;
  readonly tags: readonly string[];
}

/** What is to be launched. */
export interface Wanted<Settings extends object> {
  readonly ip: Ip;
  /** A name that tells people what it is. */
  readonly name: string;
  /** To be found among the tags of what was launched: `fleetbeat-` and 24 hexadecimal digits, the same for each try of a launch. */
  readonly tag: string;
  readonly settings: Settings;
}

/** A verb's request; `{id}` in its path is the instance's. As a function of what the last list says, which for `terminate` is not old. */
export type VerbRoute = VerbRequest | ((of: Pick<Known, 'id'> & Partial<Known>) => VerbRequest);

export interface VerbRequest extends Route {
  /** Only what has to come first: once it is accepted the verb is answered `ER0227`, and is to be called again. */
  readonly isPrelude?: true;
}

export interface Launching<Settings extends object> {
  /** Creates the instance, marked with the tag. */
  route(wanted: Wanted<Settings>): Route;
  /** The id in the answer, without which nobody knows whether anything was launched. Needed with `place`. */
  id?(body: unknown): unknown;
  /** Gives an instance its address, where creating it cannot; sent until it is not refused as too early. */
  place?(of: { readonly id: string; readonly ip: Ip }): Route;
}

/** A cloud as a table: see {@link defineRestCloud}. */
export interface RestCloud<Settings extends object = Record<string, unknown>> {
  /** Where its API is, or where its login is. https, unless `allow` lists the host. */
  readonly url: string;
  /** All that no error may show. */
  readonly secrets: readonly Secret[];
  /** Logs in; again after a 401 and before the session ends. Throws a FleetError ER0224 where it is refused. */
  readonly login: (send: Send) => Promise<Session>;
  /** JSON unless said. */
  readonly format?: Format;
  readonly list: {
    readonly route: Route;
    /** The instances of one page; null where the answer is no page. */
    items(body: unknown): readonly unknown[] | null;
    /** What to add to the query for the page after this one; null after the last. */
    next?(body: unknown, page: number): Query | null;
  };
  read(item: unknown): Listed;
  /** Asks for what the list does not show, such as addresses that stand elsewhere. */
  readonly complete?: (items: readonly Listed[], ask: Ask, asking: Asking) => Promise<readonly Listed[]>;
  /** Each state that the provider documents, in our words; any other is `unknown`, its word kept. */
  readonly states: Readonly<Record<string, Power>>;
  readonly verbs: Readonly<Record<'start' | 'stop' | 'reboot' | 'terminate', VerbRoute>>;
  readonly launch?: Launching<Settings>;
  /** What the body of a 2xx says: null where it was accepted, `ER0220` where it is no answer of this API. Default null. */
  verdict?(body: unknown): KnownCode | null;
  /** The code of a refusal, where the status alone misleads. `ER0206`: the instance is in no state for it, or busy. */
  refusal?(status: number, body: unknown): KnownCode | null;
  /** The provider's own words for what is wrong. */
  message?(body: unknown): unknown;
}
