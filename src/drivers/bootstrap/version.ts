export const VERSIONS = '1 to 100 printable characters without blanks';
export const isVersion = (text: string): boolean => /^[!-~]{1,100}$/.test(text);

export const RELEASE_VERSIONS = 'a letter or digit, then at most 99 letters, digits, ".", "_", "+", "~", "-"';
/** A version that names a folder. */
export const isReleaseVersion = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}$/.test(text);
