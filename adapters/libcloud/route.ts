import { FleetError } from '../../src/errors.ts';

/** One request to a cloud's API, beneath its url. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `{name}` stands for a parameter, as in `/servers/{id}/action`. The bill knows the request by this. */
  readonly path: string;
  /** What stands for the names in the path. A verb's path has `{id}` from its instance. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Written as the cloud's format has it: JSON unless said. */
  readonly body?: unknown;
}

export type Query = Readonly<Record<string, string | number>>;

/** How the bill and messages call a route. */
export const verbOf = ({ method, path }: Route): string => `${method} ${path}`;

/** @throws FleetError ER0222 for a parameter that could lead elsewhere */
export function urlOf(base: string, { path, params = {}, query = {} }: Route): URL {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? params[name] : undefined;
    // Two dots would climb the path, however they are encoded.
    if (value === undefined || /^\.{0,2}$/.test(value)) {
      throw new FleetError('ER0222', `${path} needs a ${name}, found ${JSON.stringify(value ?? null)}`);
    }
    return encodeURIComponent(value);
  });
  const url = new URL(base.replace(/\/+$/, '') + filled);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url;
}

/** The query of a link to the next page. Nothing else of it is used, so that no answer can lead us to another host. */
export function queryOf(link: unknown): Query | null {
  if (typeof link !== 'string' || !URL.canParse(link, 'http://none')) return null;
  return Object.fromEntries(new URL(link, 'http://none').searchParams);
}
