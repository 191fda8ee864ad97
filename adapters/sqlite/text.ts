const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * A text as it stands in a column. What UTF-8 cannot hold, or an engine would cut off at a NUL, becomes a blob of UTF-16: no
 * blob is ever equal to a text, so no two texts are one.
 */
export const columnOf = (text: string): string | Uint8Array =>
  text.includes('\0') || LONE_SURROGATE.test(text) ? Buffer.from(text, 'utf16le') : text;

/** The text of a column: a counter reads as its digits; a blob comes as an array or a buffer, as the engine likes. */
export const textOfColumn = (column: unknown): string =>
  typeof column === 'object' ? Buffer.from(new Uint8Array(column as ArrayBuffer)).toString('utf16le') : String(column);
