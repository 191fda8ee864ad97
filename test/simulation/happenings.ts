import type {
  Action,
  ActionId,
  Call,
  EntityKey,
  Heartbeat,
  InstanceFacts,
  Instant,
  Permit,
  Reading,
  ServiceFacts,
} from 'fleetbeat';
import type { Effect } from 'fleetbeat/testing';
import type { Life } from './life.ts';

/** What happens in a schedule, as an onlooker sees it who stands between the fleets and everything else. */
export type Happening =
  /** A fleet asks its store to write; a swap says what it expects to find. */
  | { readonly is: 'asks'; readonly by: Life; readonly key: string; readonly expected?: string; readonly next: string | null }
  /** A fleet asks its store what it holds at a key. */
  | { readonly is: 'looks'; readonly by: Life; readonly key: string }
  /** The store holds something else at a key. */
  | {
      readonly is: 'stored';
      readonly by: Life;
      readonly key: string;
      readonly before: string | null;
      readonly after: string | null;
    }
  /** A fleet has learned what the store holds at a key: it read it there, or was told that it wrote it. */
  | {
      readonly is: 'learns';
      readonly by: Life;
      readonly key: string;
      readonly text: string | null;
      readonly askedAt: Instant;
      readonly wrote: boolean;
    }
  | {
      readonly is: 'reads';
      readonly by: Life;
      readonly level: 'instances';
      readonly source: string;
      readonly reading: Reading<InstanceFacts>;
    }
  | {
      readonly is: 'reads';
      readonly by: Life;
      readonly level: 'services';
      readonly source: string;
      readonly reading: Reading<ServiceFacts>;
    }
  | { readonly is: 'is blind'; readonly by: Life; readonly source: string }
  /** A heartbeat that was pushed has arrived, and then it has been taken in. */
  | { readonly is: 'hears' | 'has heard'; readonly by: Life; readonly beat: Heartbeat }
  /** A fleet calls a driver; whether anything comes of it is another matter. */
  | { readonly is: 'calls'; readonly by: Life; readonly call: Call; readonly permit: Permit }
  /** A call was accepted. */
  | { readonly is: 'effect'; readonly by: Life; readonly driver: string; readonly effect: Effect }
  /** Somebody was told that these are armed. */
  | { readonly is: 'armed'; readonly by: Life; readonly actions: readonly Action[] }
  /** A fleet told its listeners of an action's record. */
  | { readonly is: 'says'; readonly by: Life; readonly action: Action }
  /** A person lets a failed action try again. */
  | { readonly is: 'retried'; readonly id: ActionId }
  /** The world changed by itself. */
  | { readonly is: 'mishap'; readonly ip: string; readonly what: string }
  /** A chart failed, or something was thrown that is no error of ours. */
  | { readonly is: 'fault'; readonly by: Life; readonly key: EntityKey | string; readonly error: unknown }
  /** One step of the schedule is over. */
  | { readonly is: 'step'; readonly lives: readonly Life[] };

export type Tell = (happening: Happening) => void;
