import { type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Ec2ElasticIp } from './addresses.ts';
import { fieldOf, listOf, textAt } from './shape.ts';

/** A network interface with its private addresses. */
export interface NetworkInterface {
  readonly id: string;
  readonly instanceId: string | null;
  readonly deviceIndex: number | null;
  readonly ips: readonly { readonly ip: Ip; readonly isPrimary: boolean }[];
}

/** Reads an answer of DescribeNetworkInterfaces; null where it is none. What has no id is left out. */
export function readInterfaces(output: unknown): readonly NetworkInterface[] | null {
  const list = fieldOf(output, 'NetworkInterfaces');
  if (!Array.isArray(list)) return null;
  return list.flatMap((raw: unknown) => {
    const id = textAt(raw, 'NetworkInterfaceId');
    if (id === undefined) return [];
    const attachment = fieldOf(raw, 'Attachment');
    const index = fieldOf(attachment, 'DeviceIndex');
    const ips = listOf(fieldOf(raw, 'PrivateIpAddresses')).flatMap((one) => {
      const ip = parseIp(textAt(one, 'PrivateIpAddress') ?? '');
      return ip ? [{ ip, isPrimary: fieldOf(one, 'Primary') === true }] : [];
    });
    const deviceIndex = typeof index === 'number' ? index : null;
    return [{ id, instanceId: textAt(attachment, 'InstanceId') ?? null, deviceIndex, ips }];
  });
}

/** Reads an answer of DescribeAddresses; null where it is none. What has no ip or no allocation is left out. */
export function readAddresses(output: unknown): readonly Ec2ElasticIp[] | null {
  const list = fieldOf(output, 'Addresses');
  if (!Array.isArray(list)) return null;
  return list.flatMap((raw: unknown): Ec2ElasticIp[] => {
    const ip = parseIp(textAt(raw, 'PublicIp') ?? '');
    const allocationId = textAt(raw, 'AllocationId');
    if (!ip || allocationId === undefined) return [];
    return [
      {
        kind: 'elastic',
        ip,
        allocationId,
        associationId: textAt(raw, 'AssociationId') ?? null,
        instanceId: textAt(raw, 'InstanceId') ?? null,
        interfaceId: textAt(raw, 'NetworkInterfaceId') ?? null,
        privateIp: parseIp(textAt(raw, 'PrivateIpAddress') ?? ''),
      },
    ];
  });
}
