import * as v from 'valibot';
import { isObject } from '../../wire/json.ts';
import * as f from './fields.ts';
import { asIs, labels, launchOf, line, remote, url } from './remote-fields.ts';

const { described, exactly, list, optional, section } = f;

const rest = {
  ...remote,
  ca: described('A file of certificates to trust, in PEM, instead of those of Node.', optional(f.path)),
};

const force = described(
  'Stops and reboots as a power cut does, instead of asking the machine to shut down.',
  optional(f.flag, false),
);

const request = described('Whatever else the body of the request has, in its own words.', optional(asIs));

const password = section({
  username: line,
  password: f.secret,
  project: line,
  userDomain: optional(line, 'Default'),
  projectDomain: optional(line, 'Default'),
});

const applicationCredential = section({ applicationCredentialId: line, secret: f.secret });

const auth = v.lazy((input) => {
  if (input === undefined) return v.union([password, applicationCredential]);
  return isObject(input) && ('applicationCredentialId' in input || 'secret' in input) ? applicationCredential : password;
});

export const openstackCloud = exactly({
  driver: described('Nova, by way of Keystone v3.', v.literal('openstack')),
  ...rest,
  authUrl: described('Keystone v3, such as https://keystone.example.com:5000/v3.', url),
  auth: described('A user with a password, or an application credential.', auth),
  region: optional(line),
  interface: described('Which endpoint of the catalog.', optional(f.word(['public', 'internal', 'admin']), 'public')),
  endpoint: described('Nova, where the catalog is not to be asked.', optional(url)),
  network: described('The network whose address is the ip of an instance. Default: the first fixed address.', optional(line)),
  force: described('Reboots as a power cut does.', optional(f.flag, false)),
  launch: launchOf(
    { imageRef: line, flavorRef: line, network: described('The id of the network that the ips lie in.', line) },
    { name: optional(line), key_name: optional(line), metadata: optional(labels), request },
  ),
});

const imageOfDroplet = f.eitherOr((value) => typeof value === 'number', f.wholeNumber(1, Number.MAX_SAFE_INTEGER), line);

export const digitaloceanCloud = exactly({
  driver: described('DigitalOcean, API v2.', v.literal('digitalocean')),
  ...rest,
  token: f.secret,
  tag: described('Only droplets with this tag are of this cloud.', optional(line)),
  address: described(
    'Which address is the ip of a droplet. Only at a reserved one can one be launched.',
    optional(f.word(['private', 'public', 'reserved']), 'private'),
  ),
  force,
  url: described('Default: that of DigitalOcean.', optional(url)),
  launch: launchOf(
    { region: line, size: line, image: imageOfDroplet },
    { name: optional(line), tags: optional(list(line)), request },
  ),
});

export const hetznerCloud = exactly({
  driver: described('Hetzner Cloud, API v1.', v.literal('hetzner')),
  ...rest,
  token: f.secret,
  labels: described('Only servers that these labels select are of this cloud, such as role=database.', optional(line)),
  network: described(
    'The id of the private network whose address is the ip of a server. Default: the public address counts.',
    optional(f.wholeNumber(1, Number.MAX_SAFE_INTEGER)),
  ),
  force,
  url: described('Default: that of Hetzner.', optional(url)),
  launch: launchOf({ server_type: line, image: line }, { name: optional(line), labels: optional(labels), request }),
});

export const vcloudCloud = exactly({
  driver: described('VMware vCloud Director, its XML API.', v.literal('vcloud')),
  ...rest,
  url: described('Such as https://vcloud.example.com/api.', url),
  user: line,
  org: line,
  password: f.secret,
  version: described('Of the API.', optional(f.word(['1.5', '5.1', '5.5', '5.6']), '5.5')),
  network: described('The network whose address is the ip of a machine. Default: its primary one.', optional(line)),
  force,
  launch: launchOf(
    {
      vdc: described('The id of the virtual data center.', line),
      source: described('The id of the machine in its template.', line),
      networkId: line,
      network: line,
    },
    {},
  ),
});
