import { hetzner, secret } from 'fleetbeat/adapters/libcloud';
import { type ApiReply, type ApiRequest, apiServer } from './api-server.ts';
import { CANARY, type FakeCloud, type FakeMachine, power, QUICK } from './fake-cloud.ts';

export interface FakeHetzner extends FakeCloud {
  pageSize: number;
  /** How often a server is refused as locked while it is being made. */
  locked: number;
}

export const NETWORK = 4711;

/** The servers of API v1, with their addresses in one private network. */
export async function fakeHetzner(): Promise<FakeHetzner> {
  const machines: FakeMachine[] = [];
  const effects: string[] = [];
  const refuse = (status: number, code: string, message: string): ApiReply => ({ status, body: { error: { code, message } } });
  const acted = (command: string): ApiReply => ({ status: 201, body: { action: { id: 1, command, status: 'running' } } });

  const shown = ({ id, ip, state, tag }: FakeMachine) => ({
    id: Number(id),
    name: `name of ${id}`,
    status: state,
    public_net: { ipv4: { ip: `192.0.2.${Number(id) % 250}` }, ipv6: { ip: '2001:db8::/64' } },
    private_net: ip === null ? [] : [{ network: NETWORK, ip, alias_ips: [] }],
    labels: tag === undefined ? {} : { fleetbeat: tag },
  });

  function list({ query }: ApiRequest): ApiReply {
    const page = Number(query.get('page') ?? 1);
    const last = Math.max(Math.ceil(machines.length / fake.pageSize), 1);
    const servers = machines.slice((page - 1) * fake.pageSize, page * fake.pageSize).map(shown);
    return { body: { servers, meta: { pagination: { page, next_page: page < last ? page + 1 : null } } } };
  }

  function create({ body }: ApiRequest): ApiReply {
    const { labels, image } = JSON.parse(body);
    if (image === 'too many') return refuse(403, 'resource_limit_exceeded', 'server limit reached');
    const machine = fake.add({ state: 'running', tag: labels.fleetbeat });
    effects.push(`launch ${machine.id}`);
    return { status: 201, body: { server: { id: Number(machine.id) }, action: { id: 1, status: 'running' } } };
  }

  function act(machine: FakeMachine, action: string, { body }: ApiRequest): ApiReply {
    if (action === 'attach_to_network') {
      const { network, ip } = JSON.parse(body);
      if (fake.locked-- > 0) return refuse(423, 'locked', 'server is locked');
      if (network !== NETWORK || machines.some((one) => one.ip === ip))
        return refuse(409, 'ip_not_available', 'IP is not available');
      machine.ip = ip;
    } else if (action === 'poweron') power(fake, machine, 'start', 'running');
    else if (action === 'shutdown' || action === 'poweroff') power(fake, machine, 'stop', 'off');
    else power(fake, machine, 'reboot', 'running');
    return acted(action);
  }

  const api = await apiServer((request) => {
    const { method, path } = request;
    if (request.headers.authorization !== `Bearer ${CANARY}`) return refuse(401, 'unauthorized', 'unable to authenticate');
    if (path === '/v1/servers') return method === 'GET' ? list(request) : create(request);
    const [, id, action] = /^\/v1\/servers\/([^/]+)(?:\/actions\/(\w+))?$/.exec(path) ?? [];
    const machine = machines.find((one) => one.id === id);
    if (!machine) return refuse(404, 'not_found', `server with ID '${id}' not found`);
    if (method === 'POST' && action) return act(machine, action, request);
    machines.splice(machines.indexOf(machine), 1);
    effects.push(`terminate ${machine.id}`);
    return acted('delete_server');
  });

  const fake: FakeHetzner = {
    name: 'hetzner',
    words: { running: 'running', stopped: 'off' },
    api,
    machines,
    effects,
    pageSize: 50,
    locked: 0,
    add(machine) {
      const made = { id: String(42 + machines.length + effects.length), ip: null, state: 'running', ...machine };
      machines.push(made);
      return made;
    },
    driver: (options = {}) =>
      hetzner({
        ...QUICK,
        allow: [api.host],
        url: `${api.url}/v1`,
        token: secret(CANARY),
        network: NETWORK,
        launch: { server_type: 'cx22', image: 'debian-12' },
        ...options,
      }),
    close: () => api.close(),
  };
  return fake;
}
