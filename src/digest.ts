/**
 * A short name for a text, the same everywhere: 24 hexadecimal digits of its SHA-256. Node's crypto is loaded by the first call,
 * since to import it would cost everybody who imports the library some milliseconds.
 */
export function digestOf(text: string): string {
  crypto ??= process.getBuiltinModule('node:crypto');
  return crypto.hash('sha256', text, 'hex').slice(0, 24);
}

let crypto: typeof import('node:crypto') | undefined;
