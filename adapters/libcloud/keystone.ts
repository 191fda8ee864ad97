import { FleetError } from '../../src/errors.ts';
import { reveal, type Secret } from '../http/secret.ts';
import { at, listAt, textAt } from './at.ts';
import type { Answer } from './rest.ts';
import type { Route } from './route.ts';
import type { Send, Session } from './session.ts';

export interface KeystonePassword {
  readonly username: string;
  readonly password: Secret;
  readonly project: string;
  /** The name of the user's domain. Default `Default`. */
  readonly userDomain?: string;
  /** The name of the project's domain. Default `Default`. */
  readonly projectDomain?: string;
}

export interface ApplicationCredential {
  readonly applicationCredentialId: string;
  readonly secret: Secret;
}

export type KeystoneAuth = KeystonePassword | ApplicationCredential;

/** What may stand in a header, and is no book. */
const TOKEN = /^[!-~]{1,16384}$/;

/** Logs in at Keystone v3, and finds Nova in its catalog unless told where it is. */
export function keystoneLogin(
  auth: KeystoneAuth,
  wanted: { readonly endpoint?: string; readonly region?: string; readonly interface: string },
): (send: Send) => Promise<Session> {
  const route: Route = { method: 'POST', path: '/auth/tokens', body: { auth: requestOf(auth) } };
  return async (send) => {
    const answer = await send(route);
    if (answer.status >= 300) throw refusedLogin(answer);
    const token = answer.header('x-subject-token') ?? '';
    if (!TOKEN.test(token)) throw new FleetError('ER0235', 'Keystone has answered without a token', { retryable: true });
    const lifetimeMs = lifetimeOf(answer.body);
    return {
      headers: { 'x-auth-token': token },
      url: wanted.endpoint ?? endpointIn(answer.body, wanted),
      tokens: [token],
      ...(lifetimeMs !== null && { lifetimeMs }),
    };
  };
}

function refusedLogin({ status, body }: Answer): FleetError {
  const isFinal = status === 401 || status === 403;
  const text = textAt(body, 'error', 'message') ?? 'no reason';
  return new FleetError(isFinal ? 'ER0224' : 'ER0235', `Keystone has answered ${status}: ${text}`, { retryable: !isFinal });
}

function requestOf(auth: KeystoneAuth): unknown {
  if ('applicationCredentialId' in auth) {
    const credential = { id: auth.applicationCredentialId, secret: reveal(auth.secret) };
    return { identity: { methods: ['application_credential'], application_credential: credential } };
  }
  const { username, password, project, userDomain = 'Default', projectDomain = 'Default' } = auth;
  const user = { name: username, domain: { name: userDomain }, password: reveal(password) };
  return {
    identity: { methods: ['password'], password: { user } },
    scope: { project: { name: project, domain: { name: projectDomain } } },
  };
}

/** By both times of the server: its clock need not be ours. */
function lifetimeOf(body: unknown): number | null {
  const ms = Date.parse(textAt(body, 'token', 'expires_at') ?? '') - Date.parse(textAt(body, 'token', 'issued_at') ?? '');
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}

function endpointIn(body: unknown, wanted: { readonly region?: string; readonly interface: string }): string {
  const services = listAt(body, 'token', 'catalog') ?? [];
  for (const endpoint of services.flatMap((one) => (at(one, 'type') === 'compute' ? (listAt(one, 'endpoints') ?? []) : []))) {
    if (at(endpoint, 'interface') !== wanted.interface) continue;
    if (wanted.region !== undefined && ![at(endpoint, 'region_id'), at(endpoint, 'region')].includes(wanted.region)) continue;
    const url = textAt(endpoint, 'url');
    if (url !== undefined && URL.canParse(url)) return url;
  }
  const where = wanted.region === undefined ? '' : ` in the region ${wanted.region}`;
  throw new FleetError('ER0230', `the catalog of Keystone has no ${wanted.interface} endpoint of type compute${where}`);
}
