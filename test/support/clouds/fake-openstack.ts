import { openstack, secret } from 'fleetbeat/adapters/libcloud';
import { type ApiReply, type ApiRequest, apiServer } from './api-server.ts';
import { CANARY, type FakeCloud, type FakeMachine, power, QUICK } from './fake-cloud.ts';

export interface FakeOpenstack extends FakeCloud {
  /** Tokens handed out so far; those before the last are refused once `expire` was called. */
  expire(): void;
  pageSize: number;
  /** Where the catalog says that Nova is. */
  novaUrl: string;
}

const refuse = (status: number, kind: string, message: string): ApiReply => ({
  status,
  body: { [kind]: { code: status, message } },
});

/** Keystone v3 and Nova in one: tokens that expire, pages by marker, refusals in their words. */
export async function fakeOpenstack(): Promise<FakeOpenstack> {
  const machines: FakeMachine[] = [];
  const effects: string[] = [];
  let tokens = 0;
  let valid = '';

  function login({ body }: ApiRequest): ApiReply {
    const { identity } = JSON.parse(body).auth;
    const found = identity.password?.user.password ?? identity.application_credential?.secret;
    if (found !== CANARY) return { status: 401, body: { error: { code: 401, message: 'The request requires authentication.' } } };
    valid = `token-${CANARY}-${++tokens}`;
    const endpoints = [
      { interface: 'internal', region_id: 'RegionOne', url: 'https://10.0.0.1:8774/v2.1' },
      { interface: 'public', region_id: 'RegionOne', url: fake.novaUrl },
    ];
    const token = {
      issued_at: '2026-01-01T00:00:00.000000Z',
      expires_at: '2026-01-01T01:00:00.000000Z',
      catalog: [
        { type: 'identity', endpoints: [] },
        { type: 'compute', name: 'nova', endpoints },
      ],
    };
    return { status: 201, headers: { 'x-subject-token': valid }, body: { token } };
  }

  const shown = ({ id, ip, state, tag }: FakeMachine) => ({
    id,
    name: `name of ${id}`,
    status: state,
    'OS-EXT-STS:task_state': null,
    addresses: ip === null ? {} : { net: [{ version: 4, addr: ip, 'OS-EXT-IPS:type': 'fixed' }] },
    metadata: tag === undefined ? {} : { fleetbeat: tag },
  });

  function list({ query }: ApiRequest): ApiReply {
    const limit = Math.min(Number(query.get('limit') ?? fake.pageSize), fake.pageSize);
    const start = machines.findIndex(({ id }) => id === query.get('marker')) + 1;
    const page = machines.slice(start, start + limit);
    const last = page.at(-1);
    const isMore = start + limit < machines.length && last !== undefined;
    const href = `http://elsewhere.example/v2.1/servers/detail?limit=${limit}&marker=${last?.id}`;
    return { body: { servers: page.map(shown), ...(isMore && { servers_links: [{ rel: 'next', href }] }) } };
  }

  function create({ body }: ApiRequest): ApiReply {
    const { server } = JSON.parse(body);
    const ip: string = server.networks[0].fixed_ip;
    if (!server.imageRef || !server.flavorRef) return refuse(400, 'badRequest', 'Invalid input for field/attribute server.');
    if (machines.length >= 100)
      return refuse(403, 'forbidden', 'Quota exceeded for instances: Requested 1, but already used 100');
    if (machines.some((one) => one.ip === ip)) return refuse(400, 'badRequest', `Fixed IP address ${ip} is already in use`);
    const machine = fake.add({ ip, state: 'ACTIVE', tag: server.metadata.fleetbeat });
    effects.push(`launch ${ip}`);
    return { status: 202, body: { server: { id: machine.id, adminPass: 'x', links: [] } } };
  }

  function act(machine: FakeMachine, body: string): ApiReply {
    const [action] = Object.keys(JSON.parse(body));
    const conflict = (state: string) =>
      refuse(409, 'conflictingRequest', `Cannot '${action}' instance ${machine.id} while it is in vm_state ${state}`);
    if (action === 'os-start' || action === 'unpause') {
      if (machine.state !== (action === 'unpause' ? 'PAUSED' : 'SHUTOFF')) return conflict('active');
      power(fake, machine, 'start', 'ACTIVE');
    } else if (action === 'os-stop') {
      if (machine.state !== 'ACTIVE') return conflict('stopped');
      power(fake, machine, 'stop', 'SHUTOFF');
    } else power(fake, machine, 'reboot', 'ACTIVE');
    return { status: 202 };
  }

  const api = await apiServer((request) => {
    const { method, path } = request;
    if (method === 'POST' && path === '/v3/auth/tokens') return login(request);
    if (request.headers['x-auth-token'] !== valid) return { status: 401, body: { error: { message: 'Unauthorized' } } };
    if (method === 'GET' && path === '/v2.1/servers/detail') return list(request);
    if (method === 'POST' && path === '/v2.1/servers') return create(request);
    const [, id, action] = /^\/v2\.1\/servers\/([^/]+)(\/action)?$/.exec(path) ?? [];
    const machine = machines.find((one) => one.id === id);
    if (!machine) return refuse(404, 'itemNotFound', `Instance ${id} could not be found.`);
    if (method === 'POST' && action) return act(machine, request.body);
    machines.splice(machines.indexOf(machine), 1);
    effects.push(`terminate ${machine.id}`);
    return { status: 204 };
  });

  const fake: FakeOpenstack = {
    name: 'openstack',
    words: { running: 'ACTIVE', stopped: 'SHUTOFF' },
    api,
    machines,
    effects,
    pageSize: 1000,
    novaUrl: `${api.url}/v2.1`,
    expire() {
      valid = 'none';
    },
    add(machine) {
      const made = { id: `5241-${machines.length + effects.length}`, ip: null, state: 'ACTIVE', ...machine };
      machines.push(made);
      return made;
    },
    driver: (options = {}) =>
      openstack({
        ...QUICK,
        allow: [api.host],
        authUrl: `${api.url}/v3`,
        auth: { username: 'demo', password: secret(CANARY), project: 'demo' },
        launch: { imageRef: 'i', flavorRef: 'f', network: 'n' },
        ...options,
      }),
    close: () => api.close(),
  };
  return fake;
}
