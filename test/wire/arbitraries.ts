import fc from 'fast-check';
import { CODE_OF_STATE, type Code, OK } from '../../src/domain/codes.ts';
import { type Derived, deriveService, FULL_LADDER } from '../../src/domain/derive.ts';
import { asInstant, type EntityKey, type Ip, instanceKey, parseIp, serviceKey, wantedKey } from '../../src/domain/identity.ts';
import { INSTANCE_RUNGS, type InstanceState } from '../../src/domain/instance.ts';
import { ROLES, SERVICE_RUNGS, type ServiceRung, type ServiceState } from '../../src/domain/service.ts';
import type { View } from '../../src/domain/view.ts';

const NOW = asInstant(Date.UTC(2024, 0, 2, 3, 4, 5));

export const name = fc
  .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/)
  .filter((text) => !['constructor', 'prototype'].includes(text));
export const providerId = fc.stringMatching(/^(?:i-[0-9a-f]{8}|urn:vcloud:vm:[0-9a-f]{8})$/);
export const ip = fc
  .oneof(fc.ipV4(), fc.ipV6())
  .map(parseIp)
  .filter((text): text is Ip => text !== null);

const optional = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });

const viewOf = (key: EntityKey, derived: Derived, more: Partial<View>): View => ({
  key,
  level: key.startsWith('services/') ? 'services' : 'instances',
  name: key.split('/').at(-1) ?? '',
  ip: null,
  code: derived.code,
  state: derived.state,
  holds: derived.holds,
  heldSince: new Map(),
  source: 'test',
  mark: null,
  unmet: [],
  hostLost: false,
  gone: false,
  since: NOW,
  readAt: NOW,
  seenSince: NOW,
  ...(derived.reason !== undefined && { reason: derived.reason }),
  ...more,
});

const INSTANCE_STATES = [
  'unknown',
  'absent',
  'pending',
  'unreachable',
  'stopping',
  'stopped',
  'shutting-down',
  'terminated',
  ...INSTANCE_RUNGS,
] as const satisfies readonly InstanceState[];

/** Any view of an instance that the inventory may come to. */
export const instanceView: fc.Arbitrary<View> = fc
  .record({
    state: fc.constantFrom(...INSTANCE_STATES),
    silence: fc.constantFrom<Code>(OK, 'ER0240', 'ER0241', 'ER0242', 'ER0243', 'ER0244'),
    cloud: name,
    id: providerId,
    ip: fc.option(ip),
    raw: optional(fc.string()),
    reason: optional(fc.string()),
  })
  .map(({ state, silence, cloud, id, ip, raw, reason }) => {
    const code: Code = state === 'unreachable' || state === 'pending' ? silence : OK;
    const derived: Derived = { state, code, holds: new Set([state]), suspect: false };
    const key = state === 'absent' && ip !== null ? wantedKey(cloud, ip) : instanceKey(cloud, id);
    return viewOf(key, derived, { ip, ...(raw !== undefined && { raw }), ...(reason !== undefined && { reason }) });
  });

const SERVICE_STATES = Object.keys(CODE_OF_STATE) as ServiceState[];
const FAILURES: readonly Code[] = ['ER0002', 'ER0003', 'ER0004', 'ER0005', 'ER0018'];

/** Any view of a service that the inventory may come to. */
export const serviceView: fc.Arbitrary<View> = fc
  .record({
    state: fc.constantFrom(...SERVICE_STATES),
    failure: fc.constantFrom(...FAILURES),
    installed: fc.boolean(),
    name,
    ip: fc.option(ip),
    mode: optional(name),
    role: optional(fc.constantFrom(...ROLES)),
    reason: optional(fc.string()),
  })
  .map(({ state, failure, installed, name, ip, mode, role, reason }) => {
    const code = state === 'failing' ? failure : CODE_OF_STATE[state];
    const top = (SERVICE_RUNGS as readonly string[]).indexOf(state);
    const held = SERVICE_RUNGS.slice(0, top + 1);
    const holds: Partial<Record<ServiceRung, boolean>> = Object.fromEntries(held.map((rung) => [rung, true]));
    if (installed) holds.installed = true;
    const derived = deriveService({ name, readAt: NOW, code, holds }, FULL_LADDER);
    return viewOf(serviceKey(name), derived, {
      ip,
      ...(mode !== undefined && { mode }),
      ...(role !== undefined && { role }),
      ...(reason !== undefined && { reason }),
    });
  });

export const views: fc.Arbitrary<readonly View[]> = fc.uniqueArray(fc.oneof(instanceView, serviceView), {
  selector: (view) => view.key,
  maxLength: 12,
});
