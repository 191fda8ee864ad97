import { type Ip, parseIp } from '../../domain/identity.ts';
import { FleetError } from '../../errors.ts';
import type { ElasticAddress, Handlers, ShownInterface } from './actions.ts';
import type { Instance, Instances } from './instances.ts';
import { Ec2Refusal } from './refusal.ts';
import { type FilterNames, pageOf, passes } from './selection.ts';

type AddressAction =
  | 'DescribeAddresses'
  | 'DescribeNetworkInterfaces'
  | 'AssociateAddress'
  | 'DisassociateAddress'
  | 'AssignPrivateIpAddresses'
  | 'UnassignPrivateIpAddresses';

/** The elastic addresses of the account, and the secondary private addresses of its instances. */
export interface Addresses extends Handlers<AddressAction> {
  publicIpOf(instance: Instance): string | null;
  /** An instance is gone: its addresses are free. */
  leave(instance: Instance): void;
}

interface Elastic {
  readonly publicIp: string;
  readonly allocationId: string;
  at: { readonly associationId: string; readonly instance: Instance; readonly privateIp: Ip } | null;
}

/** @throws FleetError ER0230 for a public ip that cannot be one, or that is there twice */
export function createAddresses(publicIps: readonly string[], instances: () => Instances): Addresses {
  const elastic: readonly Elastic[] = publicIps.map((publicIp, index) => {
    if (parseIp(publicIp) === null || publicIps.indexOf(publicIp) !== index)
      throw new FleetError('ER0230', `elasticIps: '${publicIp}' is no address, or is there twice`);
    return { publicIp, allocationId: `eipalloc-${String(index + 1).padStart(8, '0')}`, at: null };
  });
  let associations = 0;

  const shown = ({ publicIp, allocationId, at }: Elastic): ElasticAddress => ({
    publicIp,
    allocationId,
    associationId: at?.associationId ?? null,
    instanceId: at?.instance.machine.id ?? null,
    interfaceId: at?.instance.interfaceId ?? null,
    privateIp: at?.privateIp ?? null,
  });

  function elasticOf(wanted: { readonly allocationId?: string; readonly publicIp?: string }): Elastic {
    const { allocationId, publicIp } = wanted;
    const found = elastic.find((one) => one.allocationId === allocationId || one.publicIp === publicIp);
    if (found) return found;
    if (allocationId !== undefined)
      throw new Ec2Refusal('InvalidAllocationID.NotFound', `The allocation ID '${allocationId}' does not exist`, [allocationId]);
    if (publicIp !== undefined) throw new Ec2Refusal('InvalidAddress.NotFound', `Address '${publicIp}' not found.`, [publicIp]);
    throw new Ec2Refusal('MissingParameter', 'Either public IP or allocation id must be specified');
  }

  function interfaceOf(interfaceId: string): Instance {
    for (const instance of instances().all()) {
      if (instance.interfaceId === interfaceId && instance.machine.power !== 'terminated') return instance;
    }
    throw new Ec2Refusal('InvalidNetworkInterfaceID.NotFound', `The networkInterface ID '${interfaceId}' does not exist`, [
      interfaceId,
    ]);
  }

  function targetOf(wanted: { readonly instanceId?: string; readonly interfaceId?: string }): Instance {
    if (wanted.interfaceId !== undefined) return interfaceOf(wanted.interfaceId);
    const [instance] = instances().find(wanted.instanceId === undefined ? [] : [wanted.instanceId]);
    const power = instance?.machine.power;
    if (!instance || power === 'shutting-down' || power === 'terminated')
      throw new Ec2Refusal('IncorrectInstanceState', `The instance '${wanted.instanceId}' is ${power}`);
    return instance;
  }

  function ownIp(instance: Instance, text: string | undefined): Ip {
    const { home } = instance.machine;
    const ip = text === undefined ? home : parseIp(text);
    if (ip !== null && (ip === home || instance.secondaryIps.has(ip))) return ip;
    throw new Ec2Refusal('InvalidParameterValue', `The address '${text}' is not assigned to ${instance.interfaceId}`);
  }

  /** With it goes the elastic address that led to it. */
  function take(ip: Ip, from: Instance): void {
    instances().release(ip, from);
    for (const one of elastic) if (one.at?.privateIp === ip && one.at.instance === from) one.at = null;
  }

  const shownInterface = (instance: Instance): readonly (ShownInterface & { readonly ordinal: number })[] => {
    const { machine, interfaceId: id, secondaryIps, settings, ordinal } = instance;
    if (machine.home === null || machine.power === 'terminated') return [];
    const ofIt = elastic.filter(({ at }) => at?.instance === instance).map(shown);
    const { subnetId } = settings;
    return [{ ordinal, id, instanceId: machine.id, subnetId, ip: machine.home, secondaryIps: [...secondaryIps], elastic: ofIt }];
  };

  return {
    publicIpOf: (instance) => elastic.find(({ at }) => at?.instance === instance)?.publicIp ?? null,
    leave(instance) {
      for (const one of elastic) if (one.at?.instance === instance) one.at = null;
      for (const ip of [...instance.secondaryIps]) instances().release(ip, instance);
    },
    DescribeAddresses({ allocationIds = [], publicIps = [], filters = [] }) {
      const named = [
        ...allocationIds.map((allocationId) => elasticOf({ allocationId })),
        ...publicIps.map((publicIp) => elasticOf({ publicIp })),
      ];
      const chosen = named.length > 0 ? elastic.filter((one) => named.includes(one)) : elastic;
      return { addresses: chosen.map(shown).filter((one) => passes(one, filters, elasticValues)) };
    },
    DescribeNetworkInterfaces({ ids = [], filters = [], ...page }) {
      const chosen = ids.length > 0 ? ids.map(interfaceOf) : [...instances().all()];
      const { items, nextToken } = pageOf(
        chosen.flatMap(shownInterface).filter((one) => passes(one, filters, interfaceValues)),
        page,
      );
      return { interfaces: items, nextToken };
    },
    AssociateAddress({ allowReassociation = true, privateIp, ...wanted }) {
      const one = elasticOf(wanted);
      const instance = targetOf(wanted);
      const ip = ownIp(instance, privateIp);
      if (one.at?.instance === instance && one.at.privateIp === ip) return { associationId: one.at.associationId };
      const other = elastic.find(({ at }) => at?.instance === instance && at.privateIp === ip);
      if (!allowReassociation && (one.at || other))
        throw new Ec2Refusal('Resource.AlreadyAssociated', `resource ${one.allocationId} is already associated`);
      if (other) other.at = null;
      const associationId = `eipassoc-${String(++associations).padStart(8, '0')}`;
      one.at = { associationId, instance, privateIp: ip };
      return { associationId };
    },
    DisassociateAddress({ associationId, publicIp }) {
      const one =
        associationId === undefined
          ? elasticOf(publicIp === undefined ? {} : { publicIp })
          : elastic.find(({ at }) => at?.associationId === associationId);
      if (!one) throw new Ec2Refusal('InvalidAssociationID.NotFound', `The association ID '${associationId}' does not exist`);
      one.at = null;
      return null;
    },
    AssignPrivateIpAddresses({ interfaceId, ips, count = 0, allowReassignment = false }) {
      const instance = interfaceOf(interfaceId);
      const { subnetId } = instance.settings;
      const assigned = ips.map(readIp);
      for (const ip of assigned) {
        const owner = instances().at(ip, subnetId);
        if (!owner || owner === instance || (allowReassignment && owner.machine.home !== ip)) continue;
        throw new Ec2Refusal('InvalidParameterValue', `${ip} is already assigned to interface ${owner.interfaceId}`);
      }
      for (const ip of assigned) {
        const owner = instances().at(ip, subnetId);
        if (owner && owner !== instance) take(ip, owner);
        instances().give(ip, instance);
      }
      for (let left = assigned.length > 0 ? 0 : count; left > 0; left--) {
        const ip = instances().freeIp(subnetId);
        instances().give(ip, instance);
        assigned.push(ip);
      }
      return { interfaceId, assigned };
    },
    UnassignPrivateIpAddresses({ interfaceId, ips }) {
      const instance = interfaceOf(interfaceId);
      const wanted = ips.map(readIp);
      if (wanted.some((ip) => !instance.secondaryIps.has(ip)))
        throw new Ec2Refusal(
          'InvalidParameterValue',
          `Some of ${wanted.join(', ')} are not assigned to interface ${interfaceId}`,
        );
      for (const ip of wanted) take(ip, instance);
      return null;
    },
  };
}

function readIp(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) throw new Ec2Refusal('InvalidParameterValue', `Value (${text}) for parameter address is invalid`);
  return ip;
}

const elasticValues: FilterNames<ElasticAddress> = (name, one) => {
  switch (name) {
    case 'allocation-id':
      return [one.allocationId];
    case 'association-id':
      return [one.associationId];
    case 'public-ip':
      return [one.publicIp];
    case 'instance-id':
      return [one.instanceId];
    case 'network-interface-id':
      return [one.interfaceId];
    case 'private-ip-address':
      return [one.privateIp];
    default:
      return undefined;
  }
};

const interfaceValues: FilterNames<ShownInterface> = (name, one) => {
  switch (name) {
    case 'network-interface-id':
      return [one.id];
    case 'attachment.instance-id':
      return [one.instanceId];
    case 'subnet-id':
      return [one.subnetId];
    case 'addresses.private-ip-address':
      return [one.ip, ...one.secondaryIps];
    case 'private-ip-address':
      return [one.ip];
    default:
      return undefined;
  }
};
