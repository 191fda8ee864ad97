import { asUser } from './keystone-client.ts';
import type { Seeded } from './seed.ts';

/** What there is to know of an OpenStack: plain JSON, so that all test files of a run can share one. */
export interface OpenstackCloud extends Seeded {
  /** Keystone v3. */
  readonly authUrl: string;
  /** Another Keystone of the same cloud, whose tokens are good for some seconds. */
  readonly shortAuthUrl: string;
  readonly novaUrl: string;
}

/** What a list of allowed addresses has to have. */
export const addressesOf = ({ authUrl, shortAuthUrl, novaUrl }: OpenstackCloud): readonly string[] =>
  [authUrl, shortAuthUrl, novaUrl].map((url) => new URL(url).host);

/** Refuses all tokens that a user was given so far. */
export async function revoke({ authUrl }: OpenstackCloud, user: 'demo'): Promise<void> {
  const admin = asUser(authUrl, 'admin', 'admin', 'admin');
  const { users } = (await admin('GET', `${authUrl}/users?name=${user}`)) as { readonly users: readonly { id: string }[] };
  // A new password, be it the old one, ends what was given for the one before.
  await admin('PATCH', `${authUrl}/users/${users[0]?.id}`, { user: { password: user } });
}

/** Makes many servers of the project `demo` that no host has room for, which costs next to nothing. */
export async function crowd({ authUrl, novaUrl, ...seeded }: OpenstackCloud, count: number): Promise<void> {
  const { imageRef, hugeFlavorRef: flavorRef, network: uuid } = seeded;
  const server = { name: 'crowd', imageRef, flavorRef, networks: [{ uuid }], max_count: count };
  await asUser(authUrl, 'demo', 'demo', 'demo')('POST', `${novaUrl}/servers`, { server });
}
