import type { Path } from '../../wire/refusal.ts';
import { configurationError, type Origin } from './mistake.ts';

/** A secret of a configuration: it names the variable of the environment that holds it. */
export interface Secret {
  readonly env: string;
}

/** @throws FleetError ER0230 where the variable is not set */
export function secretOf(secret: Secret, path: Path, origin: Origin, env: NodeJS.ProcessEnv): string {
  const found = env[secret.env];
  if (found !== undefined && found !== '') return found;
  throw configurationError(origin, {
    path: [...path, 'env'],
    found: `the variable ${secret.env}, which is not set`,
    allowed: 'a variable of the environment that is set',
  });
}
