import type { MachinePower } from '../simulated-machine.ts';
import type { AnswerOf, Ec2Action, ElasticAddress, ShownInstance, ShownInterface, StateChange, Tags } from './actions.ts';
import type { XmlValue } from './xml.ts';

const OWNER = '000000000000';
const VPC = 'vpc-simulated';

/** EC2's numbers for its states. */
const STATE_CODES = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
} as const satisfies Record<MachinePower, number>;

/** What stands in the answer to each action, in the tags of EC2's XML. */
export const ANSWERS: { readonly [A in Ec2Action]: (answer: AnswerOf<A>) => Readonly<Record<string, XmlValue>> } = {
  DescribeInstances: ({ instances, nextToken }) => ({ reservationSet: reservationsOf(instances), nextToken }),
  DescribeInstanceStatus: ({ instances, nextToken }) => ({ instanceStatusSet: instances.map(statusXml), nextToken }),
  DescribeNetworkInterfaces: ({ interfaces, nextToken }) => ({ networkInterfaceSet: interfaces.map(interfaceXml), nextToken }),
  DescribeAddresses: ({ addresses }) => ({ addressesSet: addresses.map(addressXml) }),
  RunInstances: ({ reservationId, instances }) => reservationXml(reservationId, instances),
  StartInstances: ({ changes }) => ({ instancesSet: changes.map(changeXml) }),
  StopInstances: ({ changes }) => ({ instancesSet: changes.map(changeXml) }),
  TerminateInstances: ({ changes }) => ({ instancesSet: changes.map(changeXml) }),
  RebootInstances: () => ({ return: true }),
  CreateTags: () => ({ return: true }),
  AssociateAddress: ({ associationId }) => ({ return: true, associationId }),
  DisassociateAddress: () => ({ return: true }),
  AssignPrivateIpAddresses: ({ interfaceId, assigned }) => ({
    return: true,
    networkInterfaceId: interfaceId,
    assignedPrivateIpAddressesSet: assigned.map((privateIpAddress) => ({ privateIpAddress })),
  }),
  UnassignPrivateIpAddresses: () => ({ return: true }),
};

function reservationsOf(instances: readonly ShownInstance[]): XmlValue {
  const byReservation = new Map<string, ShownInstance[]>();
  for (const instance of instances) {
    const others = byReservation.get(instance.reservationId);
    if (others) others.push(instance);
    else byReservation.set(instance.reservationId, [instance]);
  }
  return [...byReservation].map(([id, launched]) => reservationXml(id, launched));
}

const reservationXml = (reservationId: string, instances: readonly ShownInstance[]) => ({
  reservationId,
  ownerId: OWNER,
  groupSet: [],
  instancesSet: instances.map(instanceXml),
});

const stateXml = (power: MachinePower): XmlValue => ({ code: STATE_CODES[power], name: power });
const changeXml = ({ id, from, to }: StateChange): XmlValue => ({
  instanceId: id,
  currentState: stateXml(to),
  previousState: stateXml(from),
});
const tagsXml = (tags: Tags): XmlValue => Object.entries(tags).map(([key, value]) => ({ key, value }));

const instanceXml = (instance: ShownInstance, index: number): XmlValue => ({
  instanceId: instance.id,
  imageId: instance.imageId,
  instanceState: stateXml(instance.power),
  privateDnsName: '',
  dnsName: '',
  reason: instance.reason ?? '',
  keyName: instance.keyName,
  amiLaunchIndex: index,
  instanceType: instance.type,
  launchTime: new Date(instance.launchedAt).toISOString(),
  placement: { availabilityZone: instance.zone, tenancy: 'default' },
  monitoring: { state: 'disabled' },
  ...(instance.ip !== null && { subnetId: instance.subnetId, vpcId: VPC, privateIpAddress: instance.ip }),
  ipAddress: instance.publicIp,
  groupSet: instance.groupIds.map((groupId) => ({ groupId, groupName: groupId })),
  stateReason: instance.reason === null ? null : { code: instance.reason, message: instance.reason },
  clientToken: instance.clientToken ?? '',
  tagSet: tagsXml(instance.tags),
  networkInterfaceSet:
    instance.ip === null
      ? []
      : [
          {
            networkInterfaceId: instance.interfaceId,
            subnetId: instance.subnetId,
            vpcId: VPC,
            ownerId: OWNER,
            status: 'in-use',
            privateIpAddress: instance.ip,
            privateIpAddressesSet: ipsXml(instance.ip, instance.secondaryIps),
          },
        ],
});

const ipsXml = (primary: string, secondary: readonly string[]): XmlValue => [
  { privateIpAddress: primary, primary: true },
  ...secondary.map((privateIpAddress) => ({ privateIpAddress, primary: false })),
];

const statusXml = ({ id, zone, power }: ShownInstance): XmlValue => {
  const check = { status: power === 'running' ? 'ok' : 'not-applicable' };
  return {
    instanceId: id,
    availabilityZone: zone,
    instanceState: stateXml(power),
    systemStatus: check,
    instanceStatus: check,
  };
};

const addressXml = (address: ElasticAddress): XmlValue => ({
  publicIp: address.publicIp,
  allocationId: address.allocationId,
  domain: 'vpc',
  instanceId: address.instanceId,
  associationId: address.associationId,
  networkInterfaceId: address.interfaceId,
  networkInterfaceOwnerId: address.interfaceId === null ? null : OWNER,
  privateIpAddress: address.privateIp,
});

const interfaceXml = ({ id, instanceId, subnetId, ip, secondaryIps, elastic }: ShownInterface): XmlValue => ({
  networkInterfaceId: id,
  subnetId,
  vpcId: VPC,
  ownerId: OWNER,
  status: 'in-use',
  privateIpAddress: ip,
  attachment: { instanceId, instanceOwnerId: OWNER, deviceIndex: 0, status: 'attached' },
  privateIpAddressesSet: [ip, ...secondaryIps].map((privateIpAddress, index) => {
    const address = elastic.find(({ privateIp }) => privateIp === privateIpAddress);
    return {
      privateIpAddress,
      primary: index === 0,
      association: address && {
        publicIp: address.publicIp,
        allocationId: address.allocationId,
        associationId: address.associationId,
      },
    };
  }),
});
