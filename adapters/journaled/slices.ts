/** So many requests at once; more would only wait for each other, with their deadlines running. */
const SLICE = 100;

/** Does something with each of many, some at once. */
export async function inSlices<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < all.length; from += SLICE) {
    results.push(...(await Promise.all(all.slice(from, from + SLICE).map(act))));
  }
  return results;
}
