import type { ServiceInput } from './contracts.ts';
import type { KindTraits } from './domain/cluster.ts';
import type { Service } from './domain/service.ts';
import { FleetError } from './errors.ts';
import type { RecoverOptions } from './face.ts';

/**
 * The services that are kept.
 *
 * @throws FleetError ER0230 where `recover` names what is not there, or has a cluster fail over that follows no master
 */
export function keptAmong(
  services: readonly Service[],
  inputs: readonly ServiceInput[],
  kinds: ReadonlyMap<string, KindTraits>,
  { services: names = [], clusters = [], failover = [] }: RecoverOptions = {},
): readonly Service[] {
  const refuse = (what: string, name: string, known: readonly string[]) => {
    const allowed = known.slice(0, 20).join(', ') || 'none';
    throw new FleetError('ER0230', `recover.${what}: found ${JSON.stringify(name)}; allowed are ${allowed}`);
  };
  const known = services.map(({ name }) => name);
  const knownClusters = [...new Set(services.flatMap(({ cluster }) => cluster ?? []))];
  if (names !== 'all') for (const name of names) if (!known.includes(name)) refuse('services', name, known);
  for (const name of clusters) if (!knownClusters.includes(name)) refuse('clusters', name, knownClusters);
  const replaceable = services.filter(({ mode }) => kinds.get(mode)?.canFailOver).flatMap(({ cluster }) => cluster ?? []);
  for (const name of failover) if (!replaceable.includes(name)) refuse('failover', name, [...new Set(replaceable)]);
  const keeps = new Map(inputs.map(({ name, keep }) => [name, keep]));
  return services.filter(
    ({ name, cluster }) =>
      keeps.get(name) ??
      (names === 'all' ||
        names.includes(name) ||
        (cluster !== undefined && (clusters.includes(cluster) || failover.includes(cluster)))),
  );
}
