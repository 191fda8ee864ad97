import type { Ec2Action, Ec2Actions, Filter, Page, RequestOf, Selection, Tags } from './actions.ts';
import { Ec2Refusal } from './refusal.ts';

/** The parameters of a request in the form of EC2's Query API: `InstanceId.1=…&Filter.1.Name=…`. */
export type Form = ReadonlyMap<string, string>;

/** No request of a client has nearly so many. */
const MOST_IN_A_LIST = 1000;

export function readForm(text: string): Form {
  const form = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) form.set(name, value);
  return form;
}

/** The request in a form, for each action. @throws Ec2Refusal MissingParameter, InvalidParameterValue */
export const REQUESTS: { readonly [A in Ec2Action]: (form: Form) => RequestOf<A> } = {
  DescribeInstances: (form) => selectionOf(form, 'InstanceId'),
  DescribeInstanceStatus: (form) => ({
    ...selectionOf(form, 'InstanceId'),
    ...optional('includeAll', flag(form, 'IncludeAllInstances')),
  }),
  DescribeNetworkInterfaces: (form) => selectionOf(form, 'NetworkInterfaceId'),
  DescribeAddresses: (form) => ({
    allocationIds: list(form, 'AllocationId'),
    publicIps: list(form, 'PublicIp'),
    filters: filtersOf(form),
  }),
  RunInstances: (form) => ({
    minCount: required(count(form, 'MinCount'), 'MinCount'),
    maxCount: required(count(form, 'MaxCount'), 'MaxCount'),
    ...optional('ip', form.get('NetworkInterface.1.PrivateIpAddress') ?? form.get('PrivateIpAddress')),
    ...optional('subnetId', form.get('NetworkInterface.1.SubnetId') ?? form.get('SubnetId')),
    ...optional('groupIds', either(list(form, 'NetworkInterface.1.SecurityGroupId'), list(form, 'SecurityGroupId'))),
    ...optional('clientToken', form.get('ClientToken')),
    ...optional('imageId', form.get('ImageId')),
    ...optional('type', form.get('InstanceType')),
    ...optional('zone', form.get('Placement.AvailabilityZone')),
    ...optional('keyName', form.get('KeyName')),
    ...optional('userData', form.get('UserData')),
    tags: instanceTagsOf(form),
  }),
  StartInstances: (form) => ({ ids: list(form, 'InstanceId') }),
  StopInstances: (form) => ({ ids: list(form, 'InstanceId') }),
  TerminateInstances: (form) => ({ ids: list(form, 'InstanceId') }),
  RebootInstances: (form) => ({ ids: list(form, 'InstanceId') }),
  CreateTags: (form) => ({ resources: list(form, 'ResourceId'), tags: tagsOf(form, 'Tag') }),
  AssociateAddress: (form) => ({
    ...optional('allocationId', form.get('AllocationId')),
    ...optional('publicIp', form.get('PublicIp')),
    ...optional('instanceId', form.get('InstanceId')),
    ...optional('interfaceId', form.get('NetworkInterfaceId')),
    ...optional('privateIp', form.get('PrivateIpAddress')),
    ...optional('allowReassociation', flag(form, 'AllowReassociation')),
  }),
  DisassociateAddress: (form) => ({
    ...optional('associationId', form.get('AssociationId')),
    ...optional('publicIp', form.get('PublicIp')),
  }),
  AssignPrivateIpAddresses: (form) => ({
    interfaceId: required(form.get('NetworkInterfaceId'), 'NetworkInterfaceId'),
    ips: list(form, 'PrivateIpAddress'),
    ...optional('count', count(form, 'SecondaryPrivateIpAddressCount')),
    ...optional('allowReassignment', flag(form, 'AllowReassignment')),
  }),
  UnassignPrivateIpAddresses: (form) => ({
    interfaceId: required(form.get('NetworkInterfaceId'), 'NetworkInterfaceId'),
    ips: list(form, 'PrivateIpAddress'),
  }),
};

export const isAction = (text: string | undefined): text is keyof Ec2Actions =>
  text !== undefined && Object.hasOwn(REQUESTS, text);

const selectionOf = (form: Form, ids: string): Selection => ({
  ids: list(form, ids),
  filters: filtersOf(form),
  ...pageOf(form),
});

const pageOf = (form: Form): Page => ({
  ...optional('maxResults', count(form, 'MaxResults')),
  ...optional('nextToken', form.get('NextToken')),
});

/** `Name.1`, `Name.2`, … or, with a suffix, `Name.1.Suffix`, … up to the first that is missing. */
function list(form: Form, name: string, suffix = ''): string[] {
  const values: string[] = [];
  for (let index = 1; index <= MOST_IN_A_LIST; index++) {
    const value = form.get(`${name}.${index}${suffix}`);
    if (value === undefined) break;
    values.push(value);
  }
  return values;
}

function filtersOf(form: Form): Filter[] {
  return list(form, 'Filter', '.Name').map((name, index) => ({
    name,
    values: list(form, `Filter.${index + 1}.Value`),
  }));
}

function tagsOf(form: Form, prefix: string): Tags {
  const keys = list(form, prefix, '.Key');
  return Object.fromEntries(keys.map((key, index) => [key, form.get(`${prefix}.${index + 1}.Value`) ?? '']));
}

/** Of the tags that a launch gives to several kinds of things, those of its instances. */
function instanceTagsOf(form: Form): Tags {
  const kinds = list(form, 'TagSpecification', '.ResourceType');
  const ofInstances = kinds.map((kind, index) => (kind === 'instance' ? tagsOf(form, `TagSpecification.${index + 1}.Tag`) : {}));
  return Object.fromEntries(ofInstances.flatMap(Object.entries<string>));
}

function count(form: Form, name: string): number | undefined {
  const text = form.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new Ec2Refusal('InvalidParameterValue', `Value (${text}) for parameter ${name} is invalid. It must be a number.`);
  return Number(text);
}

const flag = (form: Form, name: string): boolean | undefined => (form.has(name) ? form.get(name) === 'true' : undefined);

const either = (first: string[], second: string[]): string[] | undefined =>
  first.length > 0 ? first : second.length > 0 ? second : undefined;

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Ec2Refusal('MissingParameter', `The request must contain the parameter ${name}`);
  return value;
}

const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
