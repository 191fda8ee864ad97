import * as v from 'valibot';
import { isObject } from '../../wire/json.ts';
import * as f from './fields.ts';
import { asIs, labels, launchOf, line, remote, url } from './remote-fields.ts';

const { described, exactly, list, optional, section, text } = f;

const userData = f.eitherOr(
  isObject,
  f.secret,
  text('a text of at most 16384 characters, or {"env": "NAME"}', (found) => found.length <= 16_384),
);

const launch = launchOf(
  {},
  {
    imageId: described('The AMI.', optional(line)),
    instanceType: optional(line),
    keyName: described('The name of the key pair.', optional(line)),
    subnetId: described('The subnet that the ip lies in.', optional(line)),
    securityGroupIds: optional(list(line)),
    availabilityZone: optional(line),
    tags: described('Of the instance and its volumes.', optional(labels)),
    userData: described('Such as a cloud-config; {"env": "NAME"} where it holds a secret.', optional(userData)),
    request: described('Whatever else RunInstances takes, in its own words.', optional(asIs)),
  },
);

const credentials = section({ accessKeyId: f.secret, secretAccessKey: f.secret, sessionToken: optional(f.secret) });

/** EC2, or what speaks its language. */
export const ec2Cloud = exactly({
  driver: described('EC2, or what speaks its language: one account in one region.', v.literal('ec2')),
  ...remote,
  region: text('a region, such as us-east-1', (found) => /^[a-z0-9-]{1,63}$/.test(found)),
  endpoint: described("Another EC2 than AWS's own of that region.", optional(url)),
  credentials: described(
    "Default: what the AWS SDK's own chain finds, such as the environment, ~/.aws or the role of the machine.",
    optional(credentials),
  ),
  filters: described(
    'Which instances are of this cloud, by the filters of DescribeInstances, such as "tag:fleet": ["shop"]. Default: all.',
    optional(f.byName(line, list(line))),
  ),
  address: described('Which address is the ip of an instance.', optional(f.word(['private', 'public']), 'private')),
  launch,
});
