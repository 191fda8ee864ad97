/** What a terminal might obey or hide: control characters, marks of direction, separators of lines. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** `text` with everything that is no visible character or blank written as `\uXXXX`. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (char) => {
    const codePoint = char.codePointAt(0) ?? 0;
    return codePoint > 0xffff ? `\\u{${codePoint.toString(16)}}` : `\\u${codePoint.toString(16).padStart(4, '0')}`;
  });
