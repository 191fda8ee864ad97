import type { InstanceFacts, Reading } from 'fleetbeat';

interface Difference {
  readonly from: InstanceFacts | null;
  readonly to: InstanceFacts;
}

/** The least that a beat can be: what is different under the same id. Nothing is ever missed, doubted or looked up. */
export function createKeyedDiff(): (reading: Reading<InstanceFacts>) => readonly Difference[] {
  const known = new Map<string, InstanceFacts>();
  return (reading) => {
    const differences: Difference[] = [];
    for (const to of reading.items) {
      const id = to.id ?? '';
      const from = known.get(id);
      if (from !== undefined && isSame(from, to)) continue;
      known.set(id, to);
      differences.push({ from: from ?? null, to });
    }
    return differences;
  };
}

const isSame = (a: InstanceFacts, b: InstanceFacts): boolean =>
  a.ip === b.ip &&
  a.power?.state === b.power?.state &&
  a.ssh === b.ssh &&
  a.binaries === b.binaries &&
  a.agent === b.agent &&
  a.bootId === b.bootId;
