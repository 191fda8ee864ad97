import { excerpt } from '../../src/domain/excerpt.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { type Instant, type Ip, isProviderId, parseIp } from '../../src/domain/identity.ts';
import type { InstanceFacts } from '../../src/domain/instance.ts';
import { fieldOf, listOf, textAt } from './shape.ts';
import { powerOf } from './states.ts';

/** Which of an instance's addresses is its ip. */
export type Ec2Address = 'private' | 'public';

/** One instance as EC2 describes it. */
export interface Described {
  readonly id: string;
  readonly ip: Ip | null;
  /** Its tag `Name`. */
  readonly name: string | undefined;
  readonly power: NonNullable<InstanceFacts['power']>;
  /** What it was launched with. */
  readonly clientToken: string | undefined;
  /** Its interface at device index 0. */
  readonly interfaceId: string | undefined;
}

export interface DescribedPage {
  readonly instances: readonly Described[];
  readonly problems: readonly Problem[];
  readonly nextToken: string | undefined;
}

/** Reads one answer of DescribeInstances, whatever it is; null where it is no list of instances. */
export function readPage(output: unknown, address: Ec2Address): DescribedPage | null {
  const reservations = fieldOf(output, 'Reservations');
  if (!Array.isArray(reservations)) return null;
  const instances: Described[] = [];
  const problems: Problem[] = [];
  for (const reservation of reservations)
    for (const raw of listOf(fieldOf(reservation, 'Instances'))) {
      const read = readInstance(raw, address);
      if (read.described) instances.push(read.described);
      if (read.problem) problems.push(read.problem);
    }
  return { instances, problems, nextToken: textAt(output, 'NextToken') };
}

export function readInstance(raw: unknown, address: Ec2Address): { readonly described?: Described; readonly problem?: Problem } {
  const id = textAt(raw, 'InstanceId') ?? '';
  if (!isProviderId(id)) {
    const found = id === '' ? 'none' : `'${excerpt(id)}'`;
    return {
      problem: { subject: 'an instance', code: 'ER0235', message: `an instance needs an id without blanks, found ${found}` },
    };
  }
  const found = addressOf(raw, address);
  const ip = found === undefined ? null : parseIp(found);
  const described: Described = {
    id,
    ip,
    name: nameOf(raw),
    power: powerOf(textAt(fieldOf(raw, 'State'), 'Name')),
    clientToken: textAt(raw, 'ClientToken'),
    interfaceId: interfaceOf(raw),
  };
  if (found === undefined || ip !== null) return { described };
  return { described, problem: { subject: id, code: 'ER0235', message: `its address is '${excerpt(found)}', which is none` } };
}

function nameOf(raw: unknown): string | undefined {
  const tag = listOf(fieldOf(raw, 'Tags')).find((one) => textAt(one, 'Key') === 'Name');
  const name = textAt(tag, 'Value');
  return name === undefined || name === '' ? undefined : excerpt(name);
}

const addressOf = (raw: unknown, address: Ec2Address): string | undefined =>
  address === 'public' ? textAt(raw, 'PublicIpAddress') : (textAt(raw, 'PrivateIpAddress') ?? textAt(raw, 'Ipv6Address'));

function interfaceOf(raw: unknown): string | undefined {
  const interfaces = listOf(fieldOf(raw, 'NetworkInterfaces'));
  const first = interfaces.find((one) => fieldOf(fieldOf(one, 'Attachment'), 'DeviceIndex') === 0) ?? interfaces[0];
  return textAt(first, 'NetworkInterfaceId');
}

export const factsOf = (cloud: string, { id, ip, name, power }: Described, readAt: Instant): InstanceFacts => ({
  cloud,
  id,
  ip,
  ...(name !== undefined && { name }),
  readAt,
  power,
});
