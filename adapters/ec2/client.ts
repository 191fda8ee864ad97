import {
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DisassociateAddressCommand,
  EC2Client,
  type EC2ClientConfig,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import { FleetError } from '../../src/errors.ts';
import { addressPolicy } from '../http/address-policy.ts';
import { reveal, type Secret } from '../http/secret.ts';
import type { Ec2Action } from './buckets.ts';
import { createTransport } from './transport.ts';

/** Where EC2 is, and who we are there. */
export interface Ec2ClientOptions {
  /** Such as `us-east-1`. */
  readonly region: string;
  /** Another EC2 than AWS's own of that region; what speaks http or is this machine has to stand in `allow` too. */
  readonly endpoint?: string;
  /**
   * Hosts or addresses with a port or without, such as `127.0.0.1:4566`, that may be called though they are this machine or speak
   * http without TLS. Link-local, metadata and group addresses never are.
   */
  readonly allow?: readonly string[];
  /** Default is what the SDK's own chain finds: environment, shared files, SSO, the role of the machine. */
  readonly credentials?: Ec2Credentials | NonNullable<EC2ClientConfig['credentials']>;
  /** How long an answer may be, in bytes. Default 33554432. */
  readonly mostBytes?: number;
  /**
   * A client of the SDK to be used instead of one of our own. Its retries, its proxy and where it connects to are then its
   * owner's affair; so is how long an answer may be.
   */
  readonly client?: Pick<EC2Client, 'send'>;
}

export interface Ec2Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
}

type Send = (action: Ec2Action, input: object, signal: AbortSignal) => Promise<unknown>;

/**
 * Makes what sends.
 *
 * @throws FleetError ER0230 for a region or an endpoint that cannot be one
 */
export function createSend(
  cloud: string,
  options: Ec2ClientOptions,
): { readonly send: Send; readonly mayHaveSent: (signal: AbortSignal) => boolean | undefined } {
  if (options.client) return { send: sendBy(options.client), mayHaveSent: () => undefined };
  const { region, endpoint, allow, credentials, mostBytes = 32 * 1024 * 1024 } = options;
  if (!/^[a-z0-9-]{1,63}$/.test(region))
    throw new FleetError(
      'ER0230',
      `the region of the cloud ${cloud} has small letters, digits and -, found ${JSON.stringify(region)}`,
    );
  const policy = addressPolicy({ loopback: 'listed', http: 'listed', ...(allow && { allow }) });
  if (endpoint !== undefined) {
    const refusal = URL.canParse(endpoint) ? policy.refusalOf(new URL(endpoint)) : 'none';
    if (refusal !== null)
      throw new FleetError(
        'ER0230',
        `the endpoint of the cloud ${cloud} is ${refusal}; allowed is https, and what \`allow\` lists`,
      );
  }
  const transport = createTransport(policy, mostBytes);
  const client = new EC2Client({
    region,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials: credentialsOf(credentials) }),
    // Pace and retries are ours: another layer of them would spend tokens that nobody has counted, and repeat what may not be.
    maxAttempts: 1,
    requestHandler: transport as unknown as NonNullable<EC2ClientConfig['requestHandler']>,
  });
  return { send: sendBy(client), mayHaveSent: transport.mayHaveSent };
}

function credentialsOf(given: NonNullable<Ec2ClientOptions['credentials']>): NonNullable<EC2ClientConfig['credentials']> {
  if (typeof given === 'function' || typeof given.secretAccessKey === 'string')
    return given as NonNullable<EC2ClientConfig['credentials']>;
  const { accessKeyId, secretAccessKey, sessionToken } = given as Ec2Credentials;
  return {
    accessKeyId,
    secretAccessKey: reveal(secretAccessKey),
    ...(sessionToken !== undefined && { sessionToken: reveal(sessionToken) }),
  };
}

/** The inputs are made by us, for the very action that they are sent with; the SDK's types of each would say no more. */
type Command = new (input: never) => object;

const COMMANDS: Readonly<Record<Ec2Action, Command>> = {
  DescribeInstances: DescribeInstancesCommand,
  DescribeAddresses: DescribeAddressesCommand,
  DescribeNetworkInterfaces: DescribeNetworkInterfacesCommand,
  RunInstances: RunInstancesCommand,
  StartInstances: StartInstancesCommand,
  StopInstances: StopInstancesCommand,
  RebootInstances: RebootInstancesCommand,
  TerminateInstances: TerminateInstancesCommand,
  AssociateAddress: AssociateAddressCommand,
  DisassociateAddress: DisassociateAddressCommand,
  AssignPrivateIpAddresses: AssignPrivateIpAddressesCommand,
  UnassignPrivateIpAddresses: UnassignPrivateIpAddressesCommand,
};

function sendBy(client: Pick<EC2Client, 'send'>): Send {
  const send = client.send.bind(client) as unknown as (
    command: object,
    options: { readonly abortSignal: AbortSignal },
  ) => Promise<unknown>;
  return async (action, input, signal) => send(new COMMANDS[action](input as never), { abortSignal: signal });
}
