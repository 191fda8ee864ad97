/** Numbers that look random and are the same for the same seed, on every machine. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** True in this share of the cases; 0 is never, 1 always. */
  chance(rate: number): boolean;
  /** A generator of its own for `label`: what one draws never shifts what another gets. */
  fork(label: string): Random;
}

const WEYL_STEP = 0x9e3779b9;

/** A counter whose bits are mixed (a 32-bit SplitMix): small, fast, good enough to choose delays and faults. Not for secrets. */
export function seededRandom(seed: number): Random {
  let counter = seed >>> 0;

  const next = () => {
    counter = (counter + WEYL_STEP) >>> 0;
    return mix(counter) / 2 ** 32;
  };

  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (rate) => next() < rate,
    fork: (label) => seededRandom(hash(label, seed)),
  };
}

function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function hash(text: string, seed: number): number {
  let hashed = mix(seed >>> 0);
  for (let i = 0; i < text.length; i++) hashed = mix(hashed ^ text.charCodeAt(i));
  return hashed;
}
