import type { Ports } from './config.ts';
import { type As, asUser } from './keystone-client.ts';

/** What a test needs to know to launch a server. */
export interface Seeded {
  readonly imageRef: string;
  /** Fits anywhere. */
  readonly flavorRef: string;
  /** Fits nowhere. */
  readonly hugeFlavorRef: string;
  /** Of 10.0.0.0/24 and the project `demo`. */
  readonly network: string;
  /** Of 10.1.0.0/24 and the project `narrow`, which may have one server. */
  readonly narrowNetwork: string;
  /** Of 10.0.0.0/24 as well, and the project `shop`. */
  readonly shopNetwork: string;
}

type Named = { readonly id: string; readonly name: string };
const listOf = (body: unknown, name: string) => (body as Record<string, readonly Named[]>)[name] ?? [];
const madeOf = (body: unknown, name: string) => (body as Record<string, Named>)[name] ?? { id: '', name: '' };

/** Services, projects and users, each with its own name as a password. */
export async function seedKeystone(keystone: string, ports: Ports): Promise<void> {
  const admin = asUser(keystone, 'admin', 'admin', 'admin');
  const roles = listOf(await admin('GET', `${keystone}/roles`), 'roles');
  for (const [project, user, wanted] of [
    ['service', 'svc', ['admin']],
    ['demo', 'demo', ['member', 'reader']],
    ['narrow', 'narrow', ['member', 'reader']],
    ['shop', 'shop', ['member', 'reader']],
  ] as const) {
    const { id } = madeOf(
      await admin('POST', `${keystone}/projects`, { project: { name: project, domain_id: 'default' } }),
      'project',
    );
    const made = await admin('POST', `${keystone}/users`, { user: { name: user, password: user, domain_id: 'default' } });
    for (const { id: role, name } of roles) {
      if (!wanted.some((one) => one === name)) continue;
      await admin('PUT', `${keystone}/projects/${id}/users/${madeOf(made, 'user').id}/roles/${role}`);
    }
  }
  for (const [type, name, url] of [
    ['compute', 'nova', `http://127.0.0.1:${ports.nova}/v2.1`],
    ['placement', 'placement', `http://127.0.0.1:${ports.placement}`],
    ['image', 'glance', `http://127.0.0.1:${ports.glance}`],
    ['network', 'neutron', `http://127.0.0.1:${ports.neutron}`],
  ] as const) {
    const service = madeOf(await admin('POST', `${keystone}/services`, { service: { type, name } }), 'service');
    for (const side of ['public', 'internal', 'admin']) {
      const endpoint = { service_id: service.id, interface: side, region_id: 'RegionOne', url };
      await admin('POST', `${keystone}/endpoints`, { endpoint });
    }
  }
}

/** Flavors, an image, networks, and a project that may have one server. */
export async function seedCloud(keystone: string, ports: Ports): Promise<Seeded> {
  const admin = asUser(keystone, 'admin', 'admin', 'admin');
  const nova = `http://127.0.0.1:${ports.nova}/v2.1`;
  const flavor = async (name: string, ram: number) =>
    madeOf(await admin('POST', `${nova}/flavors`, { flavor: { name, ram, vcpus: 1, disk: 1 } }), 'flavor').id;

  const glance = `http://127.0.0.1:${ports.glance}/v2/images`;
  const image = (await admin('POST', glance, {
    name: 'none',
    disk_format: 'raw',
    container_format: 'bare',
    visibility: 'public',
  })) as Named;
  await admin('PUT', `${glance}/${image.id}/file`, new Uint8Array(1024));

  const projects = listOf(await admin('GET', `${keystone}/projects`), 'projects');
  const narrow = projects.find(({ name }) => name === 'narrow');
  await admin('PUT', `${nova}/os-quota-sets/${narrow?.id}`, { quota_set: { instances: 1 } });
  const networkOf = (project: string, cidr: string) => makeNetwork(asUser(keystone, project, project, project), ports, cidr);
  return {
    imageRef: image.id,
    flavorRef: await flavor('small', 64),
    hugeFlavorRef: await flavor('huge', 1e9),
    network: await networkOf('demo', '10.0.0.0/24'),
    narrowNetwork: await networkOf('narrow', '10.1.0.0/24'),
    shopNetwork: await networkOf('shop', '10.0.0.0/24'),
  };
}

async function makeNetwork(user: As, ports: Ports, cidr: string): Promise<string> {
  const neutron = `http://127.0.0.1:${ports.neutron}/v2.0`;
  const { id } = madeOf(await user('POST', `${neutron}/networks`, { network: { name: 'net' } }), 'network');
  const subnet = { network_id: id, cidr, ip_version: 4, gateway_ip: null, enable_dhcp: false };
  await user('POST', `${neutron}/subnets`, { subnet });
  return id;
}
