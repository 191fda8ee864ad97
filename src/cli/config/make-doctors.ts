import { dirname } from 'node:path';
import type { Doctor, DoctorWire } from '../../contracts.ts';
import type { EntityKey, Ip } from '../../domain/identity.ts';
import { printable } from '../../domain/printable.ts';
import { isFleetError, messageOf } from '../../errors.ts';
import { doctorWire } from '../../wire/index.ts';
import type { Path } from '../../wire/refusal.ts';
import { load } from '../load.ts';
import type { Configuration } from './check.ts';
import type { ConfiguredDoctor } from './doctor-fields.ts';
import { configurationError, type Origin } from './mistake.ts';
import { type Secret, secretOf } from './secret.ts';

/**
 * Doctors that keep what they are told waiting, for a fleet that does not deliver: it stays in the store, and whoever does has
 * the secrets and the programs that this takes.
 */
export const keptDoctors = (doctors: Configuration['doctors']): readonly Doctor[] =>
  doctors.map(({ name }) => ({
    name,
    deliver: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  }));

/**
 * Makes the doctors of a configuration.
 *
 * @throws FleetError ER0230 for what only shows now, such as a variable that is not set
 */
export function makeDoctors(
  { doctors, services, cloud, origin }: Configuration,
  { env, laneAt }: { readonly env: NodeJS.ProcessEnv; readonly laneAt: (ip: Ip) => EntityKey },
): Promise<readonly Doctor[]> {
  const wire = doctorWire({ cloud: cloud.name, services, laneAt });
  return Promise.all(
    doctors.map(async (doctor, index) => {
      try {
        return await make(doctor, { wire, env, origin, path: ['doctors', index] });
      } catch (error) {
        if (!isFleetError(error) || error.code !== 'ER0230' || error.message.includes(origin.file)) throw error;
        const found = `what is refused (${printable(messageOf(error))})`;
        throw configurationError(origin, { path: ['doctors', index], found, allowed: 'what that says' }, error);
      }
    }),
  );
}

interface Around {
  readonly wire: DoctorWire;
  readonly env: NodeJS.ProcessEnv;
  readonly origin: Origin;
  readonly path: Path;
}

async function make(doctor: ConfiguredDoctor, around: Around): Promise<Doctor> {
  const { wire, env, origin, path } = around;
  if ('deliver' in doctor) return doctor;
  if ('script' in doctor) {
    const { script: argv, env: variables, ...options } = doctor;
    const { scriptDoctor } = await import('../../../adapters/doctors/script.ts');
    return scriptDoctor({ ...options, argv, wire, env: textsOf(variables, 'env', around), cwd: dirname(origin.file) });
  }
  const { webhook, secret, headers, ...options } = doctor;
  const { webhookDoctor } = await load(() => import('../../../adapters/doctors/webhook.ts'), 'doctors/webhook');
  return webhookDoctor({
    ...options,
    wire,
    url: typeof webhook === 'string' ? webhook : secretOf(webhook, [...path, 'webhook'], origin, env),
    headers: textsOf(headers, 'headers', around),
    ...(secret && { secret: secretOf(secret, [...path, 'secret'], origin, env) }),
  });
}

const textsOf = (
  texts: Readonly<Record<string, string | Secret>>,
  field: string,
  { path, origin, env }: Around,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [
      name,
      typeof text === 'string' ? text : secretOf(text, [...path, field, name], origin, env),
    ]),
  );
