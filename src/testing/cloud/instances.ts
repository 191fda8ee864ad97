import type { Instant, Ip } from '../../domain/identity.ts';
import type { Random } from '../random.ts';
import { type Machine, type MachinePower, powerShown } from '../simulated-machine.ts';
import type { Launch, Selection, ShownInstance } from './actions.ts';
import { Ec2Refusal } from './refusal.ts';
import { type FilterNames, pageOf, passes } from './selection.ts';

/** An instance of the simulated EC2 as it truly is. */
export interface Instance {
  readonly machine: Machine;
  /** Its place in the order in which all were launched. */
  readonly ordinal: number;
  readonly reservationId: string;
  readonly interfaceId: string;
  readonly clientToken: string | null;
  readonly settings: Required<Pick<Launch, 'imageId' | 'type' | 'zone' | 'subnetId' | 'groupIds'>> & {
    readonly keyName: string | null;
  };
  readonly tags: Map<string, string>;
  readonly secondaryIps: Set<Ip>;
  launchedAt: Instant;
  reason: string | null;
  /** Whether it was terminated so long ago that it is not listed any more. */
  isForgotten: boolean;
}

/** All instances that there ever were, and who owns which private address. */
export interface Instances {
  all(): Iterable<Instance>;
  add(instance: Instance): void;
  get(id: string): Instance | undefined;
  /** The owner of an address: in one subnet, or whoever got it last in any. */
  at(ip: Ip, subnetId?: string): Instance | undefined;
  /** Gives an address to an instance, as its own or as another of its own. */
  give(ip: Ip, to: Instance): void;
  release(ip: Ip, of: Instance): void;
  /** From the range that is reserved for benchmarks, so that it is nobody's own. */
  freeIp(subnetId: string): Ip;
  freeId(prefix: string): string;
  /**
   * The instances with these ids.
   * @throws Ec2Refusal InvalidInstanceID.NotFound, InvalidInstanceID.Malformed, MissingParameter
   */
  find(ids: readonly string[]): readonly Instance[];
  /** @throws Ec2Refusal as `find`, and InvalidParameterCombination for a page of ids */
  select(selection: Selection): { readonly instances: readonly ShownInstance[]; readonly nextToken: string | null };
  show(instance: Instance): ShownInstance;
}

export function createInstances(random: Random, now: () => number, publicIpOf: (instance: Instance) => string | null): Instances {
  const byId = new Map<string, Instance>();
  const owners = new Map<string, Instance>();
  const anywhere = new Map<Ip, Instance>();
  const slot = (ip: Ip, subnetId: string): string => `${subnetId} ${ip}`;

  const powerOf = ({ machine }: Instance): MachinePower | null => powerShown(machine, now());

  /** Whether a read shows it: neither too new nor too long gone. */
  const isListed = (instance: Instance): boolean => !instance.isForgotten && powerOf(instance) !== null;

  function find(ids: readonly string[]): readonly Instance[] {
    if (ids.length === 0) throw new Ec2Refusal('MissingParameter', 'The request must contain the parameter InstanceId');
    const unique = [...new Set(ids)];
    const strange = unique.filter((id) => !byId.has(id) && !/^i-[0-9a-f]{1,17}$/.test(id));
    if (strange.length > 0) throw new Ec2Refusal('InvalidInstanceID.Malformed', `Invalid id: "${strange.join('", "')}"`, strange);
    const found = unique.flatMap((id) => byId.get(id) ?? []).filter(isListed);
    const missing = unique.filter((id) => !found.some(({ machine }) => machine.id === id));
    if (missing.length === 0) return found;
    const message =
      missing.length === 1
        ? `The instance ID '${missing[0]}' does not exist`
        : `The instance IDs '${missing.join(', ')}' do not exist`;
    throw new Ec2Refusal('InvalidInstanceID.NotFound', message, missing);
  }

  function show(instance: Instance): ShownInstance {
    const { machine, settings, tags, reservationId, interfaceId, clientToken, launchedAt, reason } = instance;
    const power = powerOf(instance) ?? machine.power;
    const isGone = machine.power === 'terminated' && power === 'terminated';
    return {
      ...settings,
      id: machine.id,
      power,
      ip: isGone ? null : machine.home,
      secondaryIps: isGone ? [] : [...instance.secondaryIps],
      publicIp: publicIpOf(instance),
      interfaceId,
      reservationId,
      clientToken,
      launchedAt,
      tags: Object.fromEntries(tags),
      reason,
    };
  }

  const instances: Instances = {
    all: () => byId.values(),
    add(instance) {
      byId.set(instance.machine.id, instance);
    },
    get: (id) => byId.get(id),
    at: (ip, subnetId) => (subnetId === undefined ? anywhere.get(ip) : owners.get(slot(ip, subnetId))),
    give(ip, to) {
      owners.set(slot(ip, to.settings.subnetId), to);
      anywhere.set(ip, to);
      if (to.machine.home === null) to.machine.home = ip;
      else if (to.machine.home !== ip) to.secondaryIps.add(ip);
    },
    release(ip, of) {
      const key = slot(ip, of.settings.subnetId);
      of.secondaryIps.delete(ip);
      if (owners.get(key) === of) owners.delete(key);
      if (anywhere.get(ip) === of) anywhere.delete(ip);
    },
    freeIp(subnetId) {
      const ip = `198.18.${random.between(1, 254)}.${random.between(1, 254)}` as Ip;
      return owners.has(slot(ip, subnetId)) ? instances.freeIp(subnetId) : ip;
    },
    freeId(prefix) {
      const hex = (digits: number) =>
        random
          .between(0, 16 ** digits - 1)
          .toString(16)
          .padStart(digits, '0');
      const id = `${prefix}-0${hex(8)}${hex(8)}`;
      return byId.has(id) ? instances.freeId(prefix) : id;
    },
    find,
    select({ ids = [], filters = [], ...page }) {
      if (ids.length > 0 && page.maxResults !== undefined)
        throw new Ec2Refusal(
          'InvalidParameterCombination',
          'The parameter instancesSet cannot be used with the parameter maxResults',
        );
      const chosen = ids.length > 0 ? find(ids) : [...byId.values()].filter(isListed);
      const shown = chosen.map((instance) => ({ ordinal: instance.ordinal, ...show(instance) }));
      const { items, nextToken } = pageOf(
        shown.filter((one) => passes(one, filters, valuesOf)).sort((one, other) => one.ordinal - other.ordinal),
        page,
      );
      return { instances: items, nextToken };
    },
    show,
  };
  return instances;
}

const valuesOf: FilterNames<ShownInstance> = (name, instance) => {
  if (name.startsWith('tag:')) {
    const key = name.slice('tag:'.length);
    return [Object.hasOwn(instance.tags, key) ? (instance.tags[key] ?? null) : null];
  }
  switch (name) {
    case 'instance-id':
      return [instance.id];
    case 'instance-state-name':
      return [instance.power];
    case 'client-token':
      return [instance.clientToken];
    case 'private-ip-address':
      return [instance.ip];
    case 'network-interface.addresses.private-ip-address':
      return [instance.ip, ...instance.secondaryIps];
    case 'ip-address':
      return [instance.publicIp];
    case 'tag-key':
      return Object.keys(instance.tags);
    case 'image-id':
      return [instance.imageId];
    case 'instance-type':
      return [instance.type];
    case 'availability-zone':
      return [instance.zone];
    case 'subnet-id':
      return [instance.subnetId];
    case 'key-name':
      return [instance.keyName];
    case 'reservation-id':
      return [instance.reservationId];
    default:
      return undefined;
  }
};
