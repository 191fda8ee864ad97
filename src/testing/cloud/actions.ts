import type { Instant, Ip } from '../../domain/identity.ts';
import type { MachinePower } from '../simulated-machine.ts';

/** A filter of EC2: the value of what it names is one of `values`, in which `*` and `?` stand for any text and any character. */
export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

export interface Page {
  readonly maxResults?: number;
  readonly nextToken?: string;
}

/** Which of all: those named, or those that pass every filter. */
export interface Selection extends Page {
  readonly ids?: readonly string[];
  readonly filters?: readonly Filter[];
}

export type Tags = Readonly<Record<string, string>>;

export interface Launch {
  /** The private address that it is to have; a free one unless given. */
  readonly ip?: string;
  readonly clientToken?: string;
  readonly minCount?: number;
  readonly maxCount?: number;
  readonly imageId?: string;
  readonly type?: string;
  readonly zone?: string;
  readonly subnetId?: string;
  readonly keyName?: string;
  readonly groupIds?: readonly string[];
  readonly userData?: string;
  readonly tags?: Tags;
}

/** What a read shows of an instance, which may lag behind the truth. */
export interface ShownInstance {
  readonly id: string;
  readonly power: MachinePower;
  readonly ip: Ip | null;
  readonly secondaryIps: readonly Ip[];
  readonly publicIp: string | null;
  readonly interfaceId: string;
  readonly reservationId: string;
  readonly clientToken: string | null;
  readonly launchedAt: Instant;
  readonly imageId: string;
  readonly type: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly keyName: string | null;
  readonly groupIds: readonly string[];
  readonly tags: Tags;
  /** Why it is in this state, in EC2's words, such as `Client.UserInitiatedShutdown`. */
  readonly reason: string | null;
}

/** A network interface: every instance has one, which it takes along when it is gone. */
export interface ShownInterface {
  readonly id: string;
  readonly instanceId: string;
  readonly subnetId: string;
  readonly ip: Ip;
  readonly secondaryIps: readonly Ip[];
  readonly elastic: readonly ElasticAddress[];
}

/** An address of the account that can be moved from instance to instance. */
export interface ElasticAddress {
  readonly publicIp: string;
  readonly allocationId: string;
  readonly associationId: string | null;
  readonly instanceId: string | null;
  readonly interfaceId: string | null;
  readonly privateIp: Ip | null;
}

export interface StateChange {
  readonly id: string;
  readonly from: MachinePower;
  readonly to: MachinePower;
}

/** What the simulated EC2 can be asked, each with what it answers. */
export interface Ec2Actions {
  DescribeInstances: { request: Selection; answer: { instances: readonly ShownInstance[]; nextToken: string | null } };
  DescribeInstanceStatus: {
    request: Selection & { readonly includeAll?: boolean };
    answer: { instances: readonly ShownInstance[]; nextToken: string | null };
  };
  DescribeNetworkInterfaces: { request: Selection; answer: { interfaces: readonly ShownInterface[]; nextToken: string | null } };
  DescribeAddresses: {
    request: {
      readonly allocationIds?: readonly string[];
      readonly publicIps?: readonly string[];
      readonly filters?: readonly Filter[];
    };
    answer: { addresses: readonly ElasticAddress[] };
  };
  RunInstances: { request: Launch; answer: { reservationId: string; instances: readonly ShownInstance[] } };
  StartInstances: { request: Ids; answer: { changes: readonly StateChange[] } };
  StopInstances: { request: Ids; answer: { changes: readonly StateChange[] } };
  TerminateInstances: { request: Ids; answer: { changes: readonly StateChange[] } };
  RebootInstances: { request: Ids; answer: null };
  CreateTags: { request: { readonly resources: readonly string[]; readonly tags: Tags }; answer: null };
  AssociateAddress: {
    request: {
      readonly allocationId?: string;
      readonly publicIp?: string;
      readonly instanceId?: string;
      readonly interfaceId?: string;
      readonly privateIp?: string;
      readonly allowReassociation?: boolean;
    };
    answer: { associationId: string };
  };
  DisassociateAddress: { request: { readonly associationId?: string; readonly publicIp?: string }; answer: null };
  AssignPrivateIpAddresses: {
    request: {
      readonly interfaceId: string;
      readonly ips: readonly string[];
      /** How many free ones, where none are named. */
      readonly count?: number;
      readonly allowReassignment?: boolean;
    };
    answer: { interfaceId: string; assigned: readonly Ip[] };
  };
  UnassignPrivateIpAddresses: { request: { readonly interfaceId: string; readonly ips: readonly string[] }; answer: null };
}

export interface Ids {
  readonly ids: readonly string[];
}

export type Ec2Action = keyof Ec2Actions;
export type RequestOf<A extends Ec2Action> = Ec2Actions[A]['request'];
export type AnswerOf<A extends Ec2Action> = Ec2Actions[A]['answer'];

/** One function for each action of some, or all. */
export type Handlers<A extends Ec2Action = Ec2Action> = { readonly [K in A]: (request: RequestOf<K>) => AnswerOf<K> };
