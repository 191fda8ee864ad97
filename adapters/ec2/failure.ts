import { isRetryable, type KnownCode } from '../../src/domain/codes.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { FleetError, isFleetError } from '../../src/errors.ts';
import { fieldOf, stringOf } from './shape.ts';

/**
 * How a request failed: EC2 refused it, or refused to hear it now; it cannot have reached EC2; or nobody knows what EC2 made of
 * it.
 */
export interface Failure {
  readonly is: 'refused' | 'throttled' | 'unsent' | 'unknown';
  /** EC2's own code, such as `IncorrectInstanceState`; empty where it gave none. */
  readonly reason: string;
  /** Ours: of a refusal what EC2's means, else what a call that was not accepted or not answered is told. */
  readonly code: KnownCode;
  readonly message: string;
  /** Whether it may be over in a moment, so that a read is tried once more. */
  readonly isPassing?: true;
}

const THROTTLED: ReadonlySet<string> = new Set([
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'Throttled',
  'EC2ThrottledException',
  'TooManyRequestsException',
  'PriorRequestNotComplete',
  'BandwidthLimitExceeded',
  'SlowDown',
]);

/** Failures of EC2 itself, after which a request may have been carried out. */
const PERHAPS_DONE: ReadonlySet<string> = new Set([
  'InternalError',
  'InternalFailure',
  'InternalServerError',
  'Unavailable',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'RequestTimeout',
  'RequestTimeoutException',
]);

/**
 * EC2's codes in ours. What is not here is refused for a reason that may pass: ER0221.
 *
 * @see https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-error-codes.html
 */
export const EC2_ERROR_CODES: Readonly<Record<string, KnownCode>> = {
  AuthFailure: 'ER0224',
  UnauthorizedOperation: 'ER0224',
  AccessDenied: 'ER0224',
  AccessDeniedException: 'ER0224',
  Blocked: 'ER0224',
  IncompleteSignature: 'ER0224',
  InvalidAccessKeyId: 'ER0224',
  InvalidClientTokenId: 'ER0224',
  MissingAuthenticationToken: 'ER0224',
  NotAuthorized: 'ER0224',
  OperationNotPermitted: 'ER0224',
  OptInRequired: 'ER0224',
  PendingVerification: 'ER0224',
  SignatureDoesNotMatch: 'ER0224',
  UnrecognizedClientException: 'ER0224',
  'InvalidInstanceID.NotFound': 'ER0205',
  'InvalidInstanceID.Malformed': 'ER0205',
  'InvalidAddress.NotFound': 'ER0205',
  'InvalidAddressID.NotFound': 'ER0205',
  'InvalidAllocationID.NotFound': 'ER0205',
  'InvalidAssociationID.NotFound': 'ER0205',
  'InvalidNetworkInterfaceID.NotFound': 'ER0205',
  IncorrectInstanceState: 'ER0206',
  IncorrectState: 'ER0206',
  InvalidInstanceID: 'ER0206',
  'InvalidInstanceID.NotLinkable': 'ER0206',
  'InvalidIPAddress.InUse': 'ER0208',
  'InvalidAddress.InUse': 'ER0208',
  'Resource.AlreadyAssociated': 'ER0208',
  'InvalidNetworkInterface.InUse': 'ER0208',
  IdempotentInstanceTerminated: 'ER0215',
  IdempotentParameterMismatch: 'ER0220',
  UnsupportedOperation: 'ER0229',
  Unsupported: 'ER0229',
  UnsupportedInstanceAttribute: 'ER0229',
  InvalidAction: 'ER0229',
  InvalidParameter: 'ER0230',
  InvalidParameterCombination: 'ER0230',
  InvalidParameterValue: 'ER0230',
  MissingParameter: 'ER0230',
  UnknownParameter: 'ER0230',
  ValidationError: 'ER0230',
  'InvalidAMIID.Malformed': 'ER0230',
  'InvalidAMIID.NotFound': 'ER0230',
  'InvalidAMIID.Unavailable': 'ER0230',
  InvalidAvailabilityZone: 'ER0230',
  InvalidBlockDeviceMapping: 'ER0230',
  'InvalidGroup.NotFound': 'ER0230',
  InvalidIamInstanceProfile: 'ER0230',
  InvalidInstanceType: 'ER0230',
  'InvalidKeyPair.NotFound': 'ER0230',
  'InvalidLaunchTemplateId.NotFound': 'ER0230',
  'InvalidLaunchTemplateName.NotFoundException': 'ER0230',
  'InvalidSecurityGroupID.NotFound': 'ER0230',
  InvalidSubnet: 'ER0230',
  'InvalidSubnetID.NotFound': 'ER0230',
  'InvalidUserData.Malformed': 'ER0230',
  VPCIdNotSpecified: 'ER0230',
  InsufficientInstanceCapacity: 'ER0221',
  InsufficientHostCapacity: 'ER0221',
  InsufficientCapacityOnHost: 'ER0221',
  InsufficientReservedInstanceCapacity: 'ER0221',
  InsufficientFreeAddressesInSubnet: 'ER0221',
  InstanceLimitExceeded: 'ER0221',
  VcpuLimitExceeded: 'ER0221',
  MaxSpotInstanceCountExceeded: 'ER0221',
  VolumeLimitExceeded: 'ER0221',
  ExpiredToken: 'ER0221',
  ExpiredTokenException: 'ER0221',
  RequestExpired: 'ER0221',
  RequestTimeTooSkewed: 'ER0221',
};

/** Refusals of a whole request, in which no single instance is to blame. */
export const isAboutAll = ({ reason, code }: Failure): boolean =>
  reason !== 'OperationNotPermitted' && (code === 'ER0224' || code === 'ER0230' || WHOLE.has(reason));

const WHOLE: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'RequestTimeTooSkewed',
  'InvalidAction',
]);

/** Of a message about these, only the code is shown: AWS repeats in it what was signed. */
const SILENT: ReadonlySet<string> = new Set(['SignatureDoesNotMatch', 'IncompleteSignature']);

/** Errors of a connection that was never made; of any other, EC2 may have heard. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
]);

/** Reads whatever the SDK threw. @param mayBeSent whether the request had a connection, where that is known */
export function failureOf(action: string, thrown: unknown, mayBeSent: boolean | undefined): Failure {
  const name = stringOf(fieldOf(thrown, 'name')) ?? '';
  const status = fieldOf(fieldOf(thrown, '$metadata'), 'httpStatusCode');
  const hasAnswered = typeof status === 'number' && !isFleetError(thrown);
  if (hasAnswered && status >= 400) return answered(action, name, status, stringOf(fieldOf(thrown, 'message')) ?? '');
  const systemCode = stringOf(fieldOf(thrown, 'code')) ?? '';
  const wasSent = mayBeSent ?? !(NEVER_CONNECTED.has(systemCode) || name === 'CredentialsProviderError');
  if (isFleetError(thrown)) return { is: wasSent ? 'unknown' : 'unsent', reason: '', code: thrown.code, message: thrown.detail };
  // What Node's own errors say of an address is safe; what the SDK says of an answer that it cannot read may be the answer.
  const said = systemCode || name || 'no reason given';
  if (hasAnswered)
    return { is: 'unknown', reason: '', code: 'ER0235', message: `${action} was answered by what is no answer of EC2` };
  if (name === 'CredentialsProviderError')
    return { is: 'unsent', reason: '', code: 'ER0224', message: `${action} could not be sent: ${NO_CREDENTIALS}` };
  const message = `${action} was not answered: ${excerpt([said, ...peerOf(thrown)].join(' '))}`;
  return { is: wasSent ? 'unknown' : 'unsent', reason: '', code: 'ER0235', message, ...(wasSent && { isPassing: true }) };
}

const NO_CREDENTIALS =
  'the SDK has found no credentials that it can use, neither in the options nor in the environment, ~/.aws or the role of the machine';

/** Whom the connection was to be made to: a name that does not exist is mostly a region that does not. */
const peerOf = (thrown: unknown): readonly string[] =>
  [stringOf(fieldOf(thrown, 'hostname')) ?? stringOf(fieldOf(thrown, 'address'))].filter((one) => one !== undefined);

function answered(action: string, reason: string, status: number, text: string): Failure {
  const what = `${action} was answered by ${excerpt(reason) || status}`;
  const message = SILENT.has(reason) || text === '' ? what : `${what}: ${excerpt(text)}`;
  if (THROTTLED.has(reason) || status === 429) return { is: 'throttled', reason, code: 'ER0221', message };
  if (PERHAPS_DONE.has(reason)) return { is: 'unknown', reason, code: 'ER0235', message, isPassing: true };
  const known = Object.hasOwn(EC2_ERROR_CODES, reason) ? EC2_ERROR_CODES[reason] : undefined;
  if (known === undefined && status >= 500) return { is: 'unknown', reason, code: 'ER0235', message, isPassing: true };
  if (known === undefined && (status === 401 || status === 403)) return { is: 'refused', reason, code: 'ER0224', message };
  return { is: 'refused', reason, code: known ?? 'ER0221', message };
}

/** What a call is told that failed so: an unknown outcome and a deadline after sending both say that it may have been accepted. */
export const codeOfCall = ({ is, code }: Failure): KnownCode => {
  if (is === 'unknown') return code === 'ER0212' ? 'ER0212' : 'ER0220';
  if (is === 'refused') return code;
  return code === 'ER0217' || code === 'ER0224' ? code : 'ER0221';
};

/** The failure of what answers with more than a yes. @param isRead whether nothing can have changed by it */
export function errorOf(failure: Failure, isRead: boolean): FleetError {
  const code = isRead ? failure.code : codeOfCall(failure);
  // What the SDK throws holds the answer, and may hold the request: its name is all that goes further.
  const cause = Object.assign(new Error(failure.message), { name: failure.reason || 'NoAnswer' });
  return new FleetError(code, failure.message, { retryable: isRetryable(code), cause });
}
