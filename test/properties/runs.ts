export const isThorough = process.env.CI !== undefined && process.env.CI !== '';

/** How often a property is tried: quickly every day, thoroughly where it counts. fast-check prints the seed of a failure. */
export const RUNS = { numRuns: isThorough ? 1000 : 150 };

/** The same for histories of a whole fleet, each of which takes as long as dozens of small runs. */
export const FLEET_RUNS = { numRuns: isThorough ? 1000 : 100 };

/** How long the runs of one property may take. */
export const PATIENCE_MS = isThorough ? 240_000 : 60_000;
