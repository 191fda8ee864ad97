/** How much of a text is taken at all. */
export interface Limits {
  /** Bytes of the text in UTF-8. */
  readonly maxBytes: number;
  /** Levels of objects and lists in each other. */
  readonly maxDepth: number;
  /** Entries of all lists together. */
  readonly maxEntities: number;
  /** Names of any one object. */
  readonly maxNames: number;
}

export const DEFAULT_LIMITS: Limits = { maxBytes: 8 * 1024 * 1024, maxDepth: 32, maxEntities: 100_000, maxNames: 10_000 };

/** What was said, and the default of each limit that was not. */
export const limitsOf = (said: Partial<Limits>): Limits => ({
  maxBytes: said.maxBytes ?? DEFAULT_LIMITS.maxBytes,
  maxDepth: said.maxDepth ?? DEFAULT_LIMITS.maxDepth,
  maxEntities: said.maxEntities ?? DEFAULT_LIMITS.maxEntities,
  maxNames: said.maxNames ?? DEFAULT_LIMITS.maxNames,
});
