/** Which figures were asked for. */
export interface Selection {
  /** Whether some figure whose id begins with `prefix` is wanted. */
  covers(prefix: string): boolean;
  wants(id: string): boolean;
}

/** Ids, or their beginnings such as `P1` or `P1.100k.1`; none means all. */
export function select(ids: readonly string[]): Selection {
  const isWithin = (id: string, outer: string) => id === outer || id.startsWith(`${outer}.`);
  const wants = (id: string) => ids.length === 0 || ids.some((wanted) => isWithin(id, wanted));
  return { wants, covers: (prefix) => wants(prefix) || ids.some((wanted) => isWithin(wanted, prefix)) };
}
