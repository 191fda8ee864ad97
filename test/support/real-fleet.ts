import { createFleet, type Fleet, overShell, probed, type ServiceInput } from 'fleetbeat';
import { type LocalInstance, local } from 'fleetbeat/adapters/local';
import { memcached } from 'fleetbeat/adapters/memcached';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';

/** What a fleet on real servers is made of: plain JSON, so that another process can make the same one. */
export interface RealFleetOptions {
  readonly memcached: string;
  readonly username: string;
  readonly privateKey: string;
  readonly knownHosts: string;
  readonly ports: readonly (readonly [string, number])[];
  readonly instances: readonly LocalInstance[];
  readonly services: readonly ServiceInput[];
  /** A folder on the hosts for the markers of the rungs. */
  readonly folder: string;
}

/** A fleet on real servers: power by commands, ssh to real sshds, a real memcached for a store. */
export function realFleet(options: RealFleetOptions): { readonly fleet: Fleet; readonly shell: SshShell } {
  const shell = ssh({
    username: options.username,
    privateKey: options.privateKey,
    knownHosts: options.knownHosts,
    port: new Map(options.ports),
    connectMs: 500,
    silentMs: 500,
  });
  const kinds = [memcache()];
  const rung = (name: string) => ({
    argv: ['/bin/sh', '-c', 'echo "$1" >> "$2"', 'sh', name, `${options.folder}/ran`],
    marker: `${options.folder}/${name}`,
  });
  const fleet = createFleet({
    drivers: {
      instances: [
        probed(local({ instances: options.instances }), shell, {
          bootstrap: { binaries: rung('binaries'), agent: rung('agent') },
        }),
      ],
      services: [overShell(kinds, shell)],
    },
    kinds,
    services: options.services,
    store: memcached({ servers: options.memcached }),
    policy: { leaseMs: 3000, claimMs: 3000, freshMs: 1000, backoffMs: 50, backoffMaxMs: 200 },
  });
  return { fleet, shell };
}
