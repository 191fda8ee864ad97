import { createHash } from 'node:crypto';
import type { RunInstancesCommandInput } from '@aws-sdk/client-ec2';
import { type Ip, parseIp, type Token } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';
import { reveal, type Secret } from '../http/secret.ts';

/** How an instance is launched, in AWS's words. */
export interface Ec2LaunchSettings {
  /** The AMI. */
  readonly imageId?: string;
  readonly instanceType?: string;
  /** The name of the key pair. */
  readonly keyName?: string;
  /** The subnet that the ip lies in. */
  readonly subnetId?: string;
  readonly securityGroupIds?: readonly string[];
  readonly availabilityZone?: string;
  /** Of the instance and its volumes. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Plain text, such as a cloud-config; a secret where it holds one. */
  readonly userData?: string | Secret;
  /** Whatever else RunInstances takes, in its own words, such as `{ IamInstanceProfile: { Name: 'db' } }`. */
  readonly request?: Partial<RunInstancesCommandInput>;
}

/** The settings of all launches, and what is different at single ips. */
export interface Ec2Launch extends Ec2LaunchSettings {
  readonly byIp?: Readonly<Record<string, Ec2LaunchSettings>>;
}

/** What RunInstances is called with for an ip; null where the driver is configured without an image for it. */
export type LaunchInput = (ip: Ip, token: Token) => Partial<RunInstancesCommandInput> | null;

/** @throws FleetError ER0230 for a key of `byIp` that is no ip, or is there twice */
export function createLaunchInput(cloud: string, launch: Ec2Launch = {}): LaunchInput {
  const { byIp = {}, ...defaults } = launch;
  const special = new Map<Ip, Ec2LaunchSettings>();
  for (const [text, settings] of Object.entries(byIp)) {
    const ip = parseIp(text);
    if (!ip) throw new FleetError('ER0230', `the cloud ${cloud} has launch settings by ip for '${text}', which is none`);
    if (special.has(ip)) throw new FleetError('ER0230', `the cloud ${cloud} has launch settings for ${ip} twice`);
    special.set(ip, settings);
  }
  return (ip, token) => {
    const own = special.get(ip);
    const settings = { ...defaults, ...own, tags: { ...defaults.tags, ...own?.tags } };
    const input = { ...inputOf(settings), ...defaults.request, ...own?.request };
    if (input.ImageId === undefined && input.LaunchTemplate === undefined) return null;
    return { ...placed(input, ip), MinCount: 1, MaxCount: 1, ClientToken: clientTokenOf(ip, token) };
  };
}

/** The same for the same intent however often it is carried out; 64 characters are the most that EC2 takes. */
export const clientTokenOf = (ip: Ip, token: Token): string =>
  createHash('sha256').update(`fleetbeat launch ${ip} ${token}`).digest('hex');

function inputOf(settings: Ec2LaunchSettings): Partial<RunInstancesCommandInput> {
  const { imageId, instanceType, keyName, subnetId, securityGroupIds, availabilityZone, tags, userData } = settings;
  const Tags = Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
  const text = userData === undefined || typeof userData === 'string' ? userData : reveal(userData);
  return {
    ...(imageId !== undefined && { ImageId: imageId }),
    // AWS adds types every week; the SDK's list is never whole.
    ...(instanceType !== undefined && { InstanceType: instanceType as NonNullable<RunInstancesCommandInput['InstanceType']> }),
    ...(keyName !== undefined && { KeyName: keyName }),
    ...(subnetId !== undefined && { SubnetId: subnetId }),
    ...(securityGroupIds !== undefined && { SecurityGroupIds: [...securityGroupIds] }),
    ...(availabilityZone !== undefined && { Placement: { AvailabilityZone: availabilityZone } }),
    ...(Tags.length > 0 && {
      TagSpecifications: [
        { ResourceType: 'instance', Tags },
        { ResourceType: 'volume', Tags },
      ],
    }),
    ...(text !== undefined && { UserData: Buffer.from(text).toString('base64') }),
  };
}

/** The ip goes to the first interface: the one that is described, or the one that EC2 makes. */
function placed(input: Partial<RunInstancesCommandInput>, ip: Ip): Partial<RunInstancesCommandInput> {
  const address = ip.includes(':') ? { Ipv6Addresses: [{ Ipv6Address: ip }] } : { PrivateIpAddress: ip };
  const [first, ...others] = input.NetworkInterfaces ?? [];
  if (!first) return { ...input, ...address };
  // With interfaces described, EC2 takes subnet and groups only there.
  const { SubnetId, SecurityGroupIds, ...rest } = input;
  const described = {
    DeviceIndex: 0,
    ...(SubnetId !== undefined && { SubnetId }),
    ...(SecurityGroupIds !== undefined && { Groups: SecurityGroupIds }),
    ...first,
    ...address,
  };
  return { ...rest, NetworkInterfaces: [described, ...others] };
}
