import { addressText, type Listener } from './configuration.ts';

/** What was seen of a haproxy in one look. */
export type Look =
  | { readonly is: 'uninstalled' }
  | { readonly is: 'stopped'; readonly digest: string }
  | { readonly is: 'running'; readonly digest: string; readonly runId: string; readonly says: Statistics | null };

/** What a haproxy says of itself. */
export interface Statistics {
  /** Of the configuration that it runs. */
  readonly version: string;
  readonly servers: readonly Server[];
}

export interface Server {
  readonly listener: string;
  readonly name: string;
  readonly address: string;
  /** Whether new connections go to it: it is up, by a check that was made, and neither drained nor in maintenance. */
  readonly isUp: boolean;
  /** haproxy's own word, such as `UP`, `DOWN 1/2`, `MAINT`, `DRAIN`. */
  readonly status: string;
}

/** @returns null where this is nothing that the script writes */
export function readLook(text: string): Look | null {
  const end = text.indexOf('\n');
  const [first = '', digest, runId] = text.slice(0, end < 0 ? text.length : end).split(' ');
  if (first === 'uninstalled') return { is: 'uninstalled' };
  if (first === 'stopped' && digest !== undefined) return { is: 'stopped', digest };
  if (first !== 'running' || digest === undefined || runId === undefined) return null;
  return { is: 'running', digest, runId, says: readStatistics(text.slice(end + 1)) };
}

function readStatistics(text: string): Statistics | null {
  const version = /^description: (\S+)$/m.exec(text)?.[1];
  const start = text.indexOf('# pxname,');
  if (version === undefined || start < 0) return null;
  const [header = '', ...lines] = text
    .slice(start + 2)
    .split('\n')
    .filter((line) => line !== '');
  const columns = header.split(',');
  return {
    version,
    servers: lines.map((line) => {
      const fields = fieldsIn(line);
      const field = (name: string) => fields[columns.indexOf(name)] ?? '';
      const status = field('status');
      // After a start all servers count as up until they have been looked at.
      const isLookedAt = !['', 'INI'].includes(field('check_status'));
      return {
        listener: field('pxname'),
        name: field('svname'),
        address: field('addr'),
        status,
        isUp: /^UP\b/.test(status) && isLookedAt && field('weight') !== '0',
      };
    }),
  };
}

/** The fields of a line of CSV; those with a comma stand in quotes. */
const fieldsIn = (line: string): readonly string[] =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );

/** The services that are up in every listener that is to route to them, where they are to be found, by name. */
export function routesIn({ servers }: Statistics, listeners: readonly Listener[]): readonly string[] {
  const up = new Set(servers.filter(({ isUp }) => isUp).map(({ listener, name, address }) => `${listener} ${name} ${address}`));
  const places = listeners.flatMap((listener) =>
    listener.backends.map(({ name, ip, port }) => [name, `${listener.name} ${name} ${addressText(ip, port)}`] as const),
  );
  const names = [...new Set(places.map(([name]) => name))];
  return names.filter((name) => places.every(([other, place]) => other !== name || up.has(place))).sort();
}
