const LENGTH = 300;

/** Blanks, control characters, and those that turn the direction of text: a terminal or a log would obey them. */
const UNPRINTABLE = /[\s\p{Cc}\p{Cf}]+/gu;

/** The end of what a stranger's program said, in one line that is safe to show; there the reason stands. */
export function excerpt(text: string): string {
  const line = text.replace(UNPRINTABLE, ' ').trim();
  return line.length > LENGTH ? `…${line.slice(-LENGTH)}` : line;
}
