/** Fields that hold, or are half of, a key to something; words are parted by `_`. */
const SECRET_FIELD =
  /pass_?(?:word|wd|phrase)|secret|credential|token|authori[sz]ation|(?:^|_)(?:user|user_?name|login|key|key_?name|key_?id|pem|pwd)$/;

/** Most names are none of these in any spelling: they are told apart at the least cost. */
const SUSPECT = /pass|secret|cred|token|author|user|login|key|pem|pwd|cloud/i;

const MASKED = /^\*+$/;

const snakeCase = (field: string): string =>
  field
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[-. ]/g, '_')
    .toLowerCase();

/**
 * Whether a field may not travel. A cloud is one whole secret (the seed's holds a user, a password and the name of a key),
 * unless it is only named; what is already masked by asterisks is none.
 */
export function isSecret(field: string, value: unknown): boolean {
  if (!SUSPECT.test(field)) return false;
  const name = snakeCase(field);
  if (name === 'cloud' || name === 'clouds') return typeof value === 'object' && value !== null;
  return SECRET_FIELD.test(name) && !(typeof value === 'string' && MASKED.test(value));
}
