/** How many letters have to be changed, added or taken away to make one word of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, otherLetter] of [...other].entries()) {
      const replaced = (row[j] ?? 0) + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

const LONGEST = 64;

/** The words that somebody may have meant by `word`, nearest first. */
export function nearest(word: string, among: readonly string[]): readonly string[] {
  if (word.length > LONGEST) return [];
  const ranked = among.map((candidate) => ({ candidate, far: distance(word.toLowerCase(), candidate.toLowerCase()) }));
  return ranked
    .filter(({ candidate, far }) => far <= Math.max(1, Math.floor(candidate.length / 2.5)))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** What is allowed, and what was perhaps meant, as a message says it. */
export function allowedWords(word: string, among: readonly string[]): string {
  const meant = nearest(word, among);
  return meant.length > 0 ? `${among.join(', ')} (perhaps ${meant.join(' or ')}?)` : among.join(', ');
}
