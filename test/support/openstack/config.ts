import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The ports of one OpenStack, all on 127.0.0.1. */
export const PORTS = [
  'db',
  'keystone',
  'shortKeystone',
  'nova',
  'placement',
  'glance',
  'neutron',
  'rabbit',
  'rabbitPeers',
  'epmd',
] as const;
export type Ports = Readonly<Record<(typeof PORTS)[number], number>>;

/** How long a token is good of a second Keystone, which has the same users and the same keys. */
export const SHORT_TOKEN_SECONDS = 10;

type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

const ini = (sections: Sections): string =>
  Object.entries(sections)
    .map(([name, values]) => [`[${name}]`, ...Object.entries(values).map(([key, value]) => `${key} = ${value}`)].join('\n'))
    .join('\n\n');

/** Writes the configuration of every service: loopback only, one worker each, Nova's own fake hypervisor. */
export function writeConfig(folder: string, ports: Ports): void {
  const etc = join(folder, 'etc');
  for (const name of ['etc', 'log', 'lock', 'images', 'state', 'instances']) mkdirSync(join(folder, name), { recursive: true });
  const database = (name: string) => ({ connection: `mysql+pymysql://root@127.0.0.1:${ports.db}/${name}?charset=utf8` });
  const lock = { lock_path: join(folder, 'lock') };
  const transport_url = `rabbit://guest:guest@127.0.0.1:${ports.rabbit}/`;
  const service = {
    auth_url: `http://127.0.0.1:${ports.keystone}/v3`,
    auth_type: 'password',
    project_domain_id: 'default',
    user_domain_id: 'default',
    project_name: 'service',
    username: 'svc',
    password: 'svc',
    region_name: 'RegionOne',
  };
  const keystone_authtoken = {
    ...service,
    www_authenticate_uri: service.auth_url,
    service_token_roles_required: 'false',
    // A revoked token is refused at once.
    token_cache_time: -1,
  };
  const write = (file: string, sections: Sections) => writeFileSync(join(etc, file), `${ini(sections)}\n`);

  const keystone = (expiration: number): Sections => ({
    DEFAULT: { use_stderr: 'true' },
    database: database('keystone'),
    cache: { enabled: 'true', backend: 'oslo_cache.dict' },
    identity: { password_hash_rounds: 4 },
    token: { provider: 'fernet', expiration },
    fernet_tokens: { key_repository: join(etc, 'fernet') },
    credential: { key_repository: join(etc, 'credential') },
  });
  write('keystone.conf', keystone(3600));
  write('keystone-short.conf', keystone(SHORT_TOKEN_SECONDS));
  write('placement.conf', {
    placement_database: database('placement'),
    api: { auth_strategy: 'keystone' },
    keystone_authtoken,
  });
  write('glance-api.conf', {
    DEFAULT: { bind_host: '127.0.0.1', bind_port: ports.glance, workers: 0, enabled_backends: 'fs:file' },
    database: database('glance'),
    glance_store: { default_backend: 'fs' },
    fs: { filesystem_store_datadir: join(folder, 'images') },
    paste_deploy: { flavor: 'keystone' },
    oslo_concurrency: lock,
    keystone_authtoken,
  });
  write('neutron.conf', {
    DEFAULT: {
      bind_host: '127.0.0.1',
      bind_port: ports.neutron,
      core_plugin: 'ml2',
      service_plugins: '',
      auth_strategy: 'keystone',
      transport_url,
      api_workers: 0,
      rpc_workers: 0,
      rpc_state_report_workers: 0,
      notify_nova_on_port_status_changes: 'true',
      notify_nova_on_port_data_changes: 'true',
      api_paste_config: '/etc/neutron/api-paste.ini',
      state_path: join(folder, 'state'),
      dhcp_agent_notification: 'false',
    },
    database: database('neutron'),
    oslo_concurrency: lock,
    nova: service,
    keystone_authtoken,
    ml2: {
      type_drivers: 'local',
      tenant_network_types: 'local',
      mechanism_drivers: 'openvswitch',
      extension_drivers: 'port_security',
    },
  });
  const nova: Sections = {
    DEFAULT: {
      my_ip: '127.0.0.1',
      host: 'cmp1',
      compute_driver: 'fake.FakeDriver',
      transport_url,
      enabled_apis: 'osapi_compute',
      osapi_compute_listen: '127.0.0.1',
      osapi_compute_listen_port: ports.nova,
      osapi_compute_workers: 1,
      state_path: join(folder, 'state'),
      instances_path: join(folder, 'instances'),
      vif_plugging_is_fatal: 'false',
      vif_plugging_timeout: 0,
      sync_power_state_interval: -1,
      periodic_fuzzy_delay: 0,
      heal_instance_info_cache_interval: 0,
      service_down_time: 60,
      report_interval: 2,
    },
    api: { auth_strategy: 'keystone' },
    oslo_concurrency: lock,
    placement: service,
    neutron: service,
    glance: { api_servers: `http://127.0.0.1:${ports.glance}` },
    cinder: { catalog_info: 'volumev3::publicURL' },
    conductor: { workers: 1 },
    scheduler: { workers: 1, discover_hosts_in_cells_interval: 2 },
    filter_scheduler: { track_instance_changes: 'false' },
    vnc: { enabled: 'false' },
    quota: { instances: 1000, cores: -1, ram: -1 },
    keystone_authtoken,
  };
  write('nova.conf', { ...nova, api_database: database('nova_api'), database: database('nova') });
  // A hypervisor has no database.
  write('nova-compute.conf', nova);
}
