import { createFleet, defineServiceKind, type Fleet, overShell, parseIp, probed, type Shell } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memcached } from 'fleetbeat/adapters/memcached';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';

/** What a fleet of one host is made of, on which every effect is written down: plain JSON, for processes to have the same one. */
export interface StaleFleetOptions {
  readonly memcached: string;
  readonly username: string;
  readonly privateKey: string;
  readonly knownHosts: string;
  readonly port: number;
  readonly ip: string;
  /** The fleet's name in the store, and on the host. */
  readonly name: string;
  /** A folder on the host for what the effects write. */
  readonly folder: string;
}

/** The effects that bring the service up, in their order. */
export const EFFECTS = ['binaries', 'agent', 'installed', 'up'] as const;
export type EffectName = (typeof EFFECTS)[number];

export const START = { level: 'services', action: 'start', group: 'recorder' } as const;

/** Begins, waits while the file `hold-<effect>` is there, and ends. */
const RECORD = `
echo "$1 begins" >>"$2/ran"
while [ -e "$2/hold-$1" ]; do sleep 0.02; done
echo "$1 ends" >>"$2/ran"
touch "$2/did-$1"
`;
/** As every step of a kind, it does nothing where it has been done; two of them at once would both do it. */
const RECORD_ONCE = `[ ! -e "$2/did-$1" ] || exit 0 ${RECORD}`;

export function staleFleet(
  options: StaleFleetOptions,
  through: (shell: Shell) => Shell = (shell) => shell,
): { readonly fleet: Fleet; readonly shell: SshShell } {
  const { username, privateKey, knownHosts, port, ip, name, folder } = options;
  const host = parseIp(ip);
  if (!host) throw new TypeError(ip);
  const connection = ssh({ username, privateKey, knownHosts, port });
  const shell = through(connection);
  const argv = (script: string, effect: EffectName) => ['sh', '-c', script, 'sh', effect, folder];
  const rung = (effect: EffectName) => ({ argv: argv(RECORD, effect), marker: `${folder}/marker-${effect}` });
  const step = (effect: EffectName) => async (_: unknown, over: Shell, __: unknown, signal: AbortSignal) => {
    await over.run(host, argv(RECORD_ONCE, effect), { deadlineMs: 10_000 }, signal);
  };
  const recorder = defineServiceKind({
    mode: 'recorder',
    host: 'managed',
    ladder: ['installed', 'up'],
    settings: () => ({}),
    async probe(of, over, signal) {
      const { stdout } = await over.run(host, ['ls', folder], { deadlineMs: 5000 }, signal);
      const done = new Set(stdout.split('\n'));
      const [installed, up] = [done.has('did-installed'), done.has('did-up')];
      const code = up ? '000000' : installed ? 'ER0023' : 'ER0024';
      return { name: of.name, readAt: 0 as never, code, holds: { installed, up } };
    },
    steps: { installed: step('installed'), up: step('up') },
  });
  const fence = { fleet: name };
  const fleet = createFleet({
    drivers: {
      instances: [
        probed(local({ instances: [{ ip }] }), shell, {
          bootstrap: { binaries: rung('binaries'), agent: rung('agent') },
          fence,
        }),
      ],
      services: [overShell([recorder], shell, { fence })],
    },
    kinds: [recorder],
    services: [{ name: 'recorder', ip, mode: 'recorder', status: 'standalone' }],
    store: memcached({ servers: options.memcached, prefix: `${name}:` }),
    policy: { leaseMs: 1500, claimMs: 1000, backoffMs: 50, backoffMaxMs: 200 },
  });
  return { fleet, shell: connection };
}
