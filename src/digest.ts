/**
 * A short name for a text, the same everywhere: 24 hexadecimal digits of its SHA-256. Node's crypto is loaded by the first call,
 * since to import it would cost everybody who imports the library some milliseconds.
 */
export const digestOf = (text: string): string =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(text).digest('hex').slice(0, 24);
