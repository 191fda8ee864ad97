import { FleetError, isFleetError, messageOf } from '../../src/errors.ts';
import type { Answer, Asking, Rest } from './rest.ts';
import type { Route } from './route.ts';

/** What lets us in: headers for every request, and where the API is, if the login says so. */
export interface Session {
  readonly headers: Readonly<Record<string, string>>;
  readonly url?: string;
  /** After how long it ends; it is renewed a little before. Until a 401 where missing. */
  readonly lifetimeMs?: number;
  /** Tokens in it that no error may show. */
  readonly tokens?: readonly string[];
}

/** Asks without a session, beneath the url of the cloud. */
export type Send = (route: Route) => Promise<Answer>;

/** Asks beneath the API's url, as whoever has logged in. Rejects as {@link Rest.send} does; ER0224 where the login is refused. */
export type Ask = (route: Route, asking: Asking) => Promise<Answer>;

/** How long a refused login is not tried again: who asks with a wrong password at every beat is soon locked out. */
const REFUSED_MS = 30_000;
/** The part of its lifetime after which a session is renewed. */
const RENEWED_AFTER = 0.9;

export function withSession(rest: Rest, cloud: { readonly url: string; readonly login: (send: Send) => Promise<Session> }): Ask {
  let current: { readonly session: Promise<Session>; endsAt: number } | null = null;
  let refusal: { readonly error: FleetError; readonly until: number } | null = null;

  /** One login serves all who wait for it, so none of them may end it. */
  function login(asking: Asking): Promise<Session> {
    const signal = AbortSignal.timeout(rest.deadlineMs);
    const send: Send = (route) => rest.send(cloud.url, route, { ...asking, signal, isRepeatable: true });
    return cloud.login(send).catch((error: unknown) => {
      current = null;
      throw refusalOf(error);
    });
  }

  function refusalOf(thrown: unknown): FleetError {
    if (isFleetError(thrown) && (thrown.code === 'ER0224' || thrown.code === 'ER0230')) {
      refusal = { error: thrown, until: performance.now() + REFUSED_MS };
      return thrown;
    }
    // A login whose outcome is unknown says nothing of the call that needed it: that one was not sent.
    return new FleetError('ER0018', `the login has failed: ${messageOf(thrown)}`, { retryable: true, cause: thrown });
  }

  async function open(asking: Asking): Promise<Session> {
    const now = performance.now();
    if (refusal && now < refusal.until) throw refusal.error;
    refusal = null;
    if (!current || now >= current.endsAt) {
      const opening = { session: login(asking), endsAt: Number.POSITIVE_INFINITY };
      current = opening;
      opening.session.then(
        ({ lifetimeMs, tokens = [] }) => {
          for (const token of tokens) rest.scrubber.add(token);
          if (lifetimeMs !== undefined) opening.endsAt = now + lifetimeMs * RENEWED_AFTER;
        },
        () => {},
      );
    }
    return unlessAborted(current.session, asking.signal);
  }

  const askIn = (session: Session, route: Route, asking: Asking) =>
    rest.send(session.url ?? cloud.url, route, asking, session.headers);

  return async (route, asking) => {
    const session = await open(asking);
    const answer = await askIn(session, route, asking);
    if (answer.status !== 401) return answer;
    // Whoever else was told the same has perhaps renewed it already.
    if (current && (await settledOr(current.session, null)) === session) current = null;
    const renewed = await open(asking);
    // A token that is simply sent along is as wrong the second time.
    if (isAlike(renewed, session)) return answer;
    return askIn(renewed, route, { ...asking, isRetry: true });
  };
}

const isAlike = (one: Session, other: Session): boolean =>
  one.url === other.url && JSON.stringify(one.headers) === JSON.stringify(other.headers);

const settledOr = <T, D>(running: Promise<T>, otherwise: D): Promise<T | D> => running.catch(() => otherwise);

function unlessAborted<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () =>
      reject(new FleetError('ER0217', 'the login was ended by its caller', { retryable: true, cause: signal.reason }));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    running.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}
