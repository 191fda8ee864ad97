import { excerpt } from '../../src/domain/excerpt.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { isProviderId, parseIp } from '../../src/domain/identity.ts';
import { isFleetError } from '../../src/errors.ts';
import type { Known, Listed, RestCloud } from './cloud.ts';
import { pagesOf } from './pages.ts';
import type { Asking } from './rest.ts';
import type { Ask } from './session.ts';

/** All instances of an account, as far as they could be read. */
export interface Listing {
  readonly instances: readonly Known[];
  /** Whether what is missing is not there. */
  readonly complete: boolean;
  readonly problems: readonly Problem[];
}

/**
 * Reads all pages. Where a later one fails, what the earlier ones hold is kept, and the listing is not complete.
 *
 * @throws FleetError ER0235 where the first page is none, ER0212, ER0217, ER0223, ER0224
 */
export async function readListing<S extends object>(
  cloud: RestCloud<S>,
  ask: Ask,
  asking: Asking,
  name: string,
  scrub: (text: string) => string,
): Promise<Listing> {
  const problems: Problem[] = [];
  const listed: Listed[] = [];
  let complete = false;
  const tell = (subject: string, code: string, message: string) =>
    problems.push({ subject, code, message: excerpt(scrub(message)) });

  try {
    for await (const items of pagesOf(cloud.list, 'instances', wordsOf(cloud), ask, asking, scrub)) {
      for (const item of items) {
        try {
          listed.push(cloud.read(item));
        } catch {
          listed.push(UNREADABLE);
        }
      }
    }
    complete = true;
  } catch (error) {
    if (listed.length === 0 || asking.signal.aborted) throw error;
    if (!isFleetError(error)) throw error;
    tell(name, error.code, `the list ends early: ${error.detail}`);
  }

  const instances = new Map<string, Known>();
  for (const one of cloud.complete ? await cloud.complete(listed, ask, asking) : listed) {
    const id = typeof one.id === 'number' && Number.isSafeInteger(one.id) ? String(one.id) : one.id;
    if (typeof id !== 'string' || !isProviderId(id) || scrub(id) !== id) {
      // Whoever it is would else count as gone.
      complete = false;
      tell(name, 'ER0222', `the list has an instance without an id, found ${shown(one.id)}`);
      continue;
    }
    if (instances.has(id)) {
      tell(id, 'ER0222', 'the list has it twice');
      continue;
    }
    instances.set(
      id,
      knownOf(cloud, id, one, scrub, (message) => tell(id, 'ER0222', message)),
    );
    if (typeof one.fault === 'string' && one.fault !== '') tell(id, 'ER0221', one.fault);
  }
  return { instances: [...instances.values()], complete, problems };
}

const wordsOf = <S extends object>({ refusal, message }: RestCloud<S>): Pick<RestCloud, 'refusal' | 'message'> => ({
  ...(refusal && { refusal }),
  ...(message && { message }),
});

const UNREADABLE: Listed = { id: null, ips: [], state: null };

function knownOf<S extends object>(
  { states }: RestCloud<S>,
  id: string,
  one: Listed,
  scrub: (text: string) => string,
  tell: (message: string) => void,
): Known {
  const ips = one.ips.filter((ip) => ip !== undefined && ip !== null).map((ip) => (typeof ip === 'string' ? parseIp(ip) : null));
  if (ips.includes(null)) tell('it has an address that is none');
  const raw = typeof one.state === 'string' ? excerpt(scrub(one.state)) : '';
  if (raw === '') tell('its state is no word');
  const power = one.power ?? (Object.hasOwn(states, raw) ? states[raw] : undefined) ?? 'unknown';
  const tags = (one.tags ?? []).filter((tag) => typeof tag === 'string');
  const name = typeof one.name === 'string' ? excerpt(scrub(one.name)) : '';
  return {
    id,
    ip: ips.find((ip) => ip !== null) ?? null,
    power,
    raw: raw === '' ? 'no word' : raw,
    ...(name !== '' && { name }),
    tags,
  };
}

const shown = (value: unknown): string => excerpt(JSON.stringify(value) ?? 'nothing');
