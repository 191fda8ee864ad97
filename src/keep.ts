import type { ServiceInput } from './contracts.ts';
import type { Service } from './domain/service.ts';
import { FleetError } from './errors.ts';
import type { RecoverOptions } from './face.ts';

/**
 * The services that are kept.
 *
 * @throws FleetError ER0230 where `recover` names what is not there
 */
export function keptAmong(
  services: readonly Service[],
  inputs: readonly ServiceInput[],
  { services: names = [], clusters = [], failover = [] }: RecoverOptions = {},
): readonly Service[] {
  const refuse = (what: string, name: string, known: readonly string[]) => {
    const allowed = known.slice(0, 20).join(', ') || 'none';
    throw new FleetError('ER0230', `recover.${what}: found ${JSON.stringify(name)}; known are ${allowed}`);
  };
  const known = services.map(({ name }) => name);
  const knownClusters = [...new Set(services.flatMap(({ cluster }) => cluster ?? []))];
  if (names !== 'all') for (const name of names) if (!known.includes(name)) refuse('services', name, known);
  for (const name of clusters) if (!knownClusters.includes(name)) refuse('clusters', name, knownClusters);
  for (const name of failover) if (!knownClusters.includes(name)) refuse('failover', name, knownClusters);
  const keeps = new Map(inputs.map(({ name, keep }) => [name, keep]));
  return services.filter(
    ({ name, cluster }) =>
      keeps.get(name) ??
      (names === 'all' ||
        names.includes(name) ||
        (cluster !== undefined && (clusters.includes(cluster) || failover.includes(cluster)))),
  );
}
