import { excerpt } from '../../src/domain/excerpt.ts';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';
import type { Ec2Action } from './buckets.ts';
import { errorOf } from './failure.ts';
import { type NetworkInterface, readAddresses, readInterfaces } from './interfaces.ts';
import type { Requests } from './requests.ts';

/** An elastic ip of the account, and who has it. */
export interface Ec2ElasticIp {
  readonly kind: 'elastic';
  readonly ip: Ip;
  readonly allocationId: string;
  readonly associationId: string | null;
  readonly instanceId: string | null;
  readonly interfaceId: string | null;
  /** The private address that it leads to. */
  readonly privateIp: Ip | null;
}

/** A private address that moves between interfaces, and who has it. */
export interface Ec2Vip {
  readonly kind: 'vip';
  readonly ip: Ip;
  readonly interfaceId: string | null;
  readonly instanceId: string | null;
}

/** Who is to have an address: an instance by its id or by a private ip of it, or a network interface. */
export type Ec2Holder =
  | { readonly id: string /** Which of its interfaces. Default 0. */; readonly deviceIndex?: number }
  | { readonly ip: string /** Default the interface that has this ip. */; readonly deviceIndex?: number }
  | { readonly interfaceId: string };

/**
 * Elastic and virtual ips, set and never toggled: each call says how it is to be, does nothing where it is so already, and
 * resolves to what EC2 says is now so. Repeating one is harmless.
 *
 * All reject with a FleetError: ER0222 for an ip that is none, ER0205 for what does not exist, ER0208 for a virtual ip that is an
 * instance's own, ER0224 where the account may not, ER0221 for what EC2 refuses, ER0212, ER0220 or ER0235 where it does not answer.
 */
export interface Ec2Addresses {
  /** The elastic ips of the account, or those asked for: the seed's `status_eip`. */
  statusEip(ips?: readonly string[], signal?: AbortSignal): Promise<readonly Ec2ElasticIp[]>;
  /** Who has each of these private addresses: the seed's `status_vip`. */
  statusVip(ips: readonly string[], signal?: AbortSignal): Promise<readonly Ec2Vip[]>;
  /** Leads an elastic ip to a holder, whoever has it now: the seed's `associate`. */
  associate(elasticIp: string, to: Ec2Holder, signal?: AbortSignal): Promise<Ec2ElasticIp>;
  /** Makes a private address a secondary one of a holder's interface, whoever has it now: the seed's `associate_vip`. */
  associateVip(vip: string, to: Ec2Holder, signal?: AbortSignal): Promise<Ec2Vip>;
  /** Takes an elastic ip, or a secondary private one, from whoever has it: the seed's `disassociate`. */
  disassociate(ip: string, signal?: AbortSignal): Promise<Ec2ElasticIp | Ec2Vip>;
}

export function createAddresses(cloud: string, requests: Requests): Ec2Addresses {
  async function ask(action: Ec2Action, input: object, signal: AbortSignal): Promise<unknown> {
    const answer = await requests({ action, input, caller: 'person' }, signal);
    if (answer.is === 'ok') return answer.output;
    throw errorOf({ ...answer, message: `${cloud}: ${answer.message}` }, action.startsWith('Describe'));
  }

  const misread = (action: string) =>
    new FleetError('ER0235', `${cloud}: ${action} was answered without a list`, { retryable: true });

  async function elasticIps(ips: readonly Ip[], signal: AbortSignal): Promise<readonly Ec2ElasticIp[]> {
    const input = ips.length > 0 ? { Filters: [{ Name: 'public-ip', Values: [...ips] }] } : {};
    const read = readAddresses(await ask('DescribeAddresses', input, signal));
    if (!read) throw misread('DescribeAddresses');
    return ips.length > 0 ? read.filter(({ ip }) => ips.includes(ip)) : read;
  }

  async function interfaces(name: string, values: readonly string[], signal: AbortSignal): Promise<readonly NetworkInterface[]> {
    const input = { Filters: [{ Name: name, Values: [...values] }] };
    const read = readInterfaces(await ask('DescribeNetworkInterfaces', input, signal));
    if (!read) throw misread('DescribeNetworkInterfaces');
    return read;
  }

  const withIps = (ips: readonly Ip[], signal: AbortSignal) => interfaces('addresses.private-ip-address', ips, signal);

  const vipOf = (ip: Ip, among: readonly NetworkInterface[]): Ec2Vip => {
    const holder = among.find(({ ips }) => ips.some((one) => one.ip === ip));
    return { kind: 'vip', ip, interfaceId: holder?.id ?? null, instanceId: holder?.instanceId ?? null };
  };

  async function holderOf(to: Ec2Holder, signal: AbortSignal): Promise<NetworkInterface> {
    const nobody = (what: string) => new FleetError('ER0205', `${cloud} has no ${what}`);
    if ('interfaceId' in to) {
      const found = (await interfaces('network-interface-id', [to.interfaceId], signal)).find(({ id }) => id === to.interfaceId);
      if (!found) throw nobody(`interface ${excerpt(to.interfaceId)}`);
      return found;
    }
    let instanceId = 'id' in to ? to.id : null;
    if ('ip' in to) {
      const ip = ipOf(to.ip);
      const found = (await withIps([ip], signal)).find(({ ips }) => ips.some((one) => one.ip === ip));
      if (!found) throw nobody(`interface with the ip ${ip}`);
      if (to.deviceIndex === undefined || to.deviceIndex === found.deviceIndex) return found;
      instanceId = found.instanceId;
    }
    if (instanceId === null) throw nobody('instance with that ip');
    const { deviceIndex = 0 } = to;
    const found = (await interfaces('attachment.instance-id', [instanceId], signal)).find(
      (one) => one.instanceId === instanceId && one.deviceIndex === deviceIndex,
    );
    if (!found) throw nobody(`interface ${deviceIndex} of an instance ${excerpt(instanceId)}`);
    return found;
  }

  async function elasticIp(ip: Ip, signal: AbortSignal): Promise<Ec2ElasticIp> {
    const [found] = await elasticIps([ip], signal);
    if (!found) throw new FleetError('ER0205', `${cloud} has no elastic ip ${ip}`);
    return found;
  }

  /** The address as a secondary one; nobody may take an instance's own from it. */
  function secondary(ip: Ip, among: readonly NetworkInterface[]): NetworkInterface | undefined {
    const holder = among.find(({ ips }) => ips.some((one) => one.ip === ip));
    if (holder?.ips.some((one) => one.ip === ip && one.isPrimary))
      throw new FleetError('ER0208', `${ip} is the own address of ${holder.id} in ${cloud}, no virtual ip`);
    return holder;
  }

  return {
    async statusEip(ips = [], signal = NEVER) {
      return elasticIps(ips.map(ipOf), signal);
    },

    async statusVip(texts, signal = NEVER) {
      const ips = texts.map(ipOf);
      if (ips.length === 0) return [];
      const read = await withIps(ips, signal);
      return ips.map((ip) => vipOf(ip, read));
    },

    async associate(text, to, signal = NEVER) {
      const ip = ipOf(text);
      const [now, holder] = [await elasticIp(ip, signal), await holderOf(to, signal)];
      if (now.interfaceId === holder.id) return now;
      const input = { AllocationId: now.allocationId, NetworkInterfaceId: holder.id, AllowReassociation: true };
      await ask('AssociateAddress', input, signal);
      return elasticIp(ip, signal);
    },

    async associateVip(text, to, signal = NEVER) {
      const ip = ipOf(text);
      const read = await withIps([ip], signal);
      const holder = await holderOf(to, signal);
      if (secondary(ip, read)?.id === holder.id) return vipOf(ip, read);
      const input = { NetworkInterfaceId: holder.id, PrivateIpAddresses: [ip], AllowReassignment: true };
      await ask('AssignPrivateIpAddresses', input, signal);
      return vipOf(ip, await withIps([ip], signal));
    },

    async disassociate(text, signal = NEVER) {
      const ip = ipOf(text);
      const [elastic] = await elasticIps([ip], signal);
      if (elastic) {
        if (elastic.associationId === null) return elastic;
        await ask('DisassociateAddress', { AssociationId: elastic.associationId }, signal);
        return elasticIp(ip, signal);
      }
      const read = await withIps([ip], signal);
      const holder = secondary(ip, read);
      if (!holder) return vipOf(ip, read);
      await ask('UnassignPrivateIpAddresses', { NetworkInterfaceId: holder.id, PrivateIpAddresses: [ip] }, signal);
      return vipOf(ip, await withIps([ip], signal));
    },
  };
}

const NEVER = new AbortController().signal;

function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new FleetError('ER0222', `an address is an IPv4 or IPv6 address, found '${excerpt(text)}'`);
  return ip;
}
