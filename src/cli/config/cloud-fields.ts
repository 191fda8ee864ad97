import * as v from 'valibot';
import type { Driver } from '../../contracts.ts';
import { INSTANCE_RUNGS, type InstanceFacts } from '../../domain/instance.ts';
import { isObject } from '../../wire/json.ts';
import { ec2Cloud } from './ec2-fields.ts';
import * as f from './fields.ts';
import { active } from './remote-fields.ts';
import { digitaloceanCloud, hetznerCloud, openstackCloud, vcloudCloud } from './rest-fields.ts';

const { described, exactly, list, optional, section } = f;

const localCloud = exactly({
  driver: v.literal('local'),
  active,
  instances: described(
    'Machines that exist by configuration.',
    list(
      section({
        id: described('Default: local-<ip>.', optional(f.providerId)),
        ip: f.ip,
        status: described('Its first word is the power, or exit 0 for running and 3 for stopped.', optional(f.argv)),
        start: described('Starts it; without it, start is refused.', optional(f.argv)),
        stop: described('Stops it; without it, stop is refused.', optional(f.argv)),
      }),
    ),
  ),
  deadlineMs: described('How long one of these commands may take.', optional(f.wholeNumber(1, 3_600_000), 5000)),
});

const MACHINE_POWERS = ['pending', 'running', 'stopping', 'stopped', 'shutting-down', 'terminated'] as const;

const simulatedCloud = exactly({
  driver: described(
    'Everything happens in this process, and ends with it: to try fleetbeat without servers.',
    v.literal('simulated'),
  ),
  active,
  instances: list(
    section({
      id: f.providerId,
      ip: v.nullable(f.ip),
      state: f.word(MACHINE_POWERS),
      rung: described('What is already there.', optional(f.word(INSTANCE_RUNGS))),
    }),
  ),
  seed: described('Decides every delay and fault.', optional(f.wholeNumber(0, 2 ** 32 - 1), 1)),
  speed: described('How many times faster than a real cloud it is.', optional(f.number(0.1, 1000), 10)),
  faults: described('How often anything that can go wrong does.', optional(f.number(0, 1), 0)),
});

const DRIVERS = 'local, simulated, ec2, openstack, digitalocean, hetzner, vcloud';

const isDriver = (value: unknown): value is Driver<InstanceFacts> =>
  isObject(value) && typeof value.observe === 'function' && typeof value.perform === 'function';

/** A driver that a JavaScript configuration has made itself. */
const givenCloud = exactly({
  driver: v.custom<Driver<InstanceFacts>>(isDriver, `${DRIVERS}, or in a JavaScript file a driver`),
  active,
});

const namedCloud = v.variant(
  'driver',
  [localCloud, simulatedCloud, ec2Cloud, openstackCloud, digitaloceanCloud, hetznerCloud, vcloudCloud],
  ({ path }) =>
    path?.at(-1)?.key === 'driver' ? `${DRIVERS}, or in a JavaScript file a driver` : `an object with a driver: ${DRIVERS}`,
);

const hasDriverObject = (value: unknown): boolean => isObject(value) && isObject(value.driver);

/** Where instances are. */
export const cloud = v.lazy((input) => (hasDriverObject(input) ? givenCloud : namedCloud));

export type ConfiguredCloud = v.InferOutput<typeof givenCloud> | v.InferOutput<typeof namedCloud>;

/** One behind an API, whose requests may be invoiced. */
export type RemoteCloud = Exclude<v.InferOutput<typeof namedCloud>, { readonly driver: 'local' | 'simulated' }>;

const REMOTE: ReadonlySet<unknown> = new Set<RemoteCloud['driver']>(['ec2', 'openstack', 'digitalocean', 'hetzner', 'vcloud']);

export const isRemote = (cloud: ConfiguredCloud): cloud is RemoteCloud => REMOTE.has(cloud.driver);
