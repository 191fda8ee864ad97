import { createHmac } from 'node:crypto';
import { FleetError } from '../../src/errors.ts';

const BASE64_PREFIX = 'whsec_';
const LEAST_CHARACTERS = 16;

/** Signs texts as Standard Webhooks has it; undefined without a secret. */
export function signer(doctor: string, secret: string | undefined): ((text: string) => string) | undefined {
  if (secret === undefined) return undefined;
  if (secret.length < LEAST_CHARACTERS)
    throw new FleetError(
      'ER0230',
      `the secret of the doctor ${doctor} has ${secret.length} characters; allowed are ${LEAST_CHARACTERS} and more`,
    );
  const key = secret.startsWith(BASE64_PREFIX) ? Buffer.from(secret.slice(BASE64_PREFIX.length), 'base64') : Buffer.from(secret);
  return (text) => `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
}
