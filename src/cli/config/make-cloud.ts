import type { Driver } from '../../contracts.ts';
import type { InstanceFacts } from '../../domain/instance.ts';
import { printable } from '../../domain/printable.ts';
import { isFleetError, messageOf } from '../../errors.ts';
import { load } from '../load.ts';
import type { RemoteCloud } from './cloud-fields.ts';
import { fileText } from './file-text.ts';
import { configurationError, type Origin } from './mistake.ts';
import { type Secret, secretOf } from './secret.ts';
import { pathIn } from './settled.ts';

type Ec2LaunchSettings = import('../../../adapters/ec2.ts').Ec2LaunchSettings;

type Of<Name extends RemoteCloud['driver']> = Extract<RemoteCloud, { readonly driver: Name }>;

export interface CloudAround {
  readonly origin: Origin;
  readonly env: NodeJS.ProcessEnv;
  readonly everyMs: number;
}

/** What the driver of every cloud is made with. */
interface Making {
  readonly name: string;
  readonly everyMs: number;
  /** The text of a secret of this cloud, by the path of its field. */
  readonly reveal: (secret: Secret, ...path: readonly string[]) => string;
  /** A file that this cloud names. */
  readonly fileOf: (field: string, path: string) => Promise<string>;
}

/**
 * Makes the driver of a cloud behind an API; only its own adapter is loaded.
 *
 * @throws FleetError ER0230 for what only shows now, such as a variable that is not set; ER0231 where a package is not installed
 */
export async function makeCloud(
  name: string,
  cloud: RemoteCloud,
  { origin, env, everyMs }: CloudAround,
): Promise<Driver<InstanceFacts>> {
  try {
    return await make(cloud, {
      name,
      everyMs,
      reveal: (secret, ...path) => secretOf(secret, ['clouds', name, ...path], origin, env),
      fileOf: (field, path) => fileText(pathIn(origin, path), ['clouds', name, field], origin),
    });
  } catch (error) {
    if (!isFleetError(error) || error.code !== 'ER0230' || error.message.includes(origin.file)) throw error;
    const found = `what is refused (${printable(messageOf(error))})`;
    throw configurationError(origin, { path: ['clouds', name], found, allowed: 'what that says' }, error);
  }
}

function make(cloud: RemoteCloud, making: Making): Promise<Driver<InstanceFacts>> {
  switch (cloud.driver) {
    case 'ec2':
      return makeEc2(cloud, making);
    case 'openstack':
      return makeOpenstack(cloud, making);
    case 'digitalocean':
      return makeDigitalocean(cloud, making);
    case 'hetzner':
      return makeHetzner(cloud, making);
    case 'vcloud':
      return makeVcloud(cloud, making);
    default:
      return cloud satisfies never;
  }
}

async function makeEc2(cloud: Of<'ec2'>, { name, everyMs, reveal }: Making): Promise<Driver<InstanceFacts>> {
  const { driver: _, active: __, read: ___, credentials, launch, ...options } = cloud;
  const { ec2, secret } = await load(() => import('../../../adapters/ec2.ts'), 'ec2', ['@aws-sdk/client-ec2']);
  const { byIp, ...forAll } = launch ?? {};

  const settings = ({ userData, request, ...own }: typeof forAll, ...path: readonly string[]): Ec2LaunchSettings => ({
    ...own,
    ...(userData !== undefined && {
      userData: typeof userData === 'string' ? userData : secret(reveal(userData, 'launch', ...path, 'userData')),
    }),
    ...(request && { request: request as NonNullable<Ec2LaunchSettings['request']> }),
  });

  return ec2({
    ...options,
    name,
    everyMs,
    ...(credentials && {
      credentials: {
        accessKeyId: reveal(credentials.accessKeyId, 'credentials', 'accessKeyId'),
        secretAccessKey: secret(reveal(credentials.secretAccessKey, 'credentials', 'secretAccessKey')),
        ...(credentials.sessionToken && {
          sessionToken: secret(reveal(credentials.sessionToken, 'credentials', 'sessionToken')),
        }),
      },
    }),
    ...(launch && {
      launch: {
        ...settings(forAll),
        ...(byIp && {
          byIp: Object.fromEntries(Object.entries(byIp).map(([ip, own]) => [ip, settings(own, 'byIp', ip)])),
        }),
      },
    }),
  });
}

const REST_PACKAGES = ['axios', 'axios-retry'];
const libcloud = () => load(() => import('../../../adapters/libcloud.ts'), 'libcloud', REST_PACKAGES);

/** What all clouds on the REST core take alike. */
async function restOptions({ ca }: { readonly ca?: string }, { name, everyMs, fileOf }: Making) {
  return { name, everyMs, ...(ca !== undefined && { ca: await fileOf('ca', ca) }) };
}

async function makeOpenstack(cloud: Of<'openstack'>, making: Making): Promise<Driver<InstanceFacts>> {
  const { driver: _, active: __, read: ___, ca: ____, auth, launch, ...options } = cloud;
  const { openstack, secret } = await libcloud();
  const { reveal } = making;
  return openstack({
    ...options,
    ...(await restOptions(cloud, making)),
    auth:
      'password' in auth
        ? { ...auth, password: secret(reveal(auth.password, 'auth', 'password')) }
        : { ...auth, secret: secret(reveal(auth.secret, 'auth', 'secret')) },
    ...(launch && { launch: inTheirWords(launch) }),
  });
}

async function makeDigitalocean(cloud: Of<'digitalocean'>, making: Making): Promise<Driver<InstanceFacts>> {
  const { driver: _, active: __, read: ___, ca: ____, token, launch, ...options } = cloud;
  const { digitalocean, secret } = await libcloud();
  return digitalocean({
    ...options,
    ...(await restOptions(cloud, making)),
    token: secret(making.reveal(token, 'token')),
    ...(launch && { launch: inTheirWords(launch) }),
  });
}

async function makeHetzner(cloud: Of<'hetzner'>, making: Making): Promise<Driver<InstanceFacts>> {
  const { driver: _, active: __, read: ___, ca: ____, token, launch, ...options } = cloud;
  const { hetzner, secret } = await libcloud();
  return hetzner({
    ...options,
    ...(await restOptions(cloud, making)),
    token: secret(making.reveal(token, 'token')),
    ...(launch && { launch: inTheirWords(launch) }),
  });
}

async function makeVcloud(cloud: Of<'vcloud'>, making: Making): Promise<Driver<InstanceFacts>> {
  const { driver: _, active: __, read: ___, ca: ____, password, launch, ...options } = cloud;
  const packages = [...REST_PACKAGES, 'fast-xml-parser'];
  const { vcloud, secret } = await load(() => import('../../../adapters/libcloud/vcloud.ts'), 'libcloud/vcloud', packages);
  return vcloud({
    ...options,
    ...(await restOptions(cloud, making)),
    password: secret(making.reveal(password, 'password')),
    ...(launch && { launch }),
  });
}

type Request = Readonly<Record<string, unknown>>;

/** What a launch sends as it is goes beside the settings that have fields of their own; those go before it. */
function inTheirWords<Own extends object, Some extends { readonly request?: Request }>({
  byIp,
  request,
  ...forAll
}: Own & { readonly request?: Request; readonly byIp?: Readonly<Record<string, Some>> }) {
  return {
    ...request,
    ...forAll,
    ...(byIp && { byIp: Object.fromEntries(Object.entries(byIp).map(([ip, own]) => [ip, withRequest(own)])) }),
  };
}

const withRequest = <Own extends object>({ request, ...own }: Own & { readonly request?: Request }) => ({ ...request, ...own });
