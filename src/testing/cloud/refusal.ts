/**
 * The errors of EC2 that the simulated one answers, with their HTTP status.
 * @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
 */
const STATUS = {
  AuthFailure: 401,
  'InvalidAddress.NotFound': 400,
  'InvalidAllocationID.NotFound': 400,
  'InvalidAssociationID.NotFound': 400,
  InvalidAction: 400,
  'InvalidInstanceID.Malformed': 400,
  'InvalidInstanceID.NotFound': 400,
  'InvalidIPAddress.InUse': 400,
  'InvalidNetworkInterfaceID.NotFound': 400,
  InvalidNextToken: 400,
  InvalidParameterCombination: 400,
  InvalidParameterValue: 400,
  'Resource.AlreadyAssociated': 400,
  IdempotentParameterMismatch: 400,
  IncorrectInstanceState: 400,
  InstanceLimitExceeded: 400,
  InsufficientInstanceCapacity: 500,
  MissingParameter: 400,
  RequestLimitExceeded: 503,
  Unavailable: 503,
} as const satisfies Record<string, number>;

export type Ec2Code = keyof typeof STATUS;

export const NO_CAPACITY = 'There is no capacity for your request at present';

/** The simulated EC2 has refused a request, and applied nothing of it. */
export class Ec2Refusal extends Error {
  override readonly name = 'Ec2Refusal';
  readonly code: Ec2Code;
  readonly status: number;
  /** Those of the ids in the request that it was refused for. */
  readonly ids: readonly string[];

  constructor(code: Ec2Code, message: string, ids: readonly string[] = []) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
    this.ids = ids;
  }
}

/** The connection broke before the answer: whoever asked cannot know whether it was applied. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';

  constructor() {
    super('the connection broke before the answer (simulated)');
  }
}
