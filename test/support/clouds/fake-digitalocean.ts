import { digitalocean, secret } from 'fleetbeat/adapters/libcloud';
import { type ApiReply, type ApiRequest, apiServer } from './api-server.ts';
import { CANARY, type FakeCloud, type FakeMachine, power, QUICK } from './fake-cloud.ts';

export interface FakeDigitalocean extends FakeCloud {
  pageSize: number;
  /** How often an address is refused because the droplet is still being made. */
  pending: number;
}

/** The droplets of API v2, whose addresses are reserved ips of the account. */
export async function fakeDigitalocean(): Promise<FakeDigitalocean> {
  const machines: FakeMachine[] = [];
  const effects: string[] = [];
  const refuse = (status: number, id: string, message: string): ApiReply => ({ status, body: { id, message } });
  const acted = (type: string): ApiReply => ({
    status: 201,
    body: { action: { id: effects.length, status: 'in-progress', type } },
  });

  const shown = ({ id, state, tag }: FakeMachine) => ({
    id: Number(id),
    name: `name of ${id}`,
    status: state,
    networks: { v4: [{ ip_address: `10.9.0.${id}`, type: 'private' }], v6: [] },
    tags: tag === undefined ? ['db'] : ['db', tag],
  });

  function pageOf(name: string, items: readonly unknown[], { query, path }: ApiRequest): ApiReply {
    const page = Number(query.get('page') ?? 1);
    const isMore = page * fake.pageSize < items.length;
    const next = `https://elsewhere.example${path}?page=${page + 1}`;
    return {
      body: {
        [name]: items.slice((page - 1) * fake.pageSize, page * fake.pageSize),
        links: isMore ? { pages: { next } } : {},
        meta: { total: items.length },
      },
    };
  }

  function create({ body }: ApiRequest): ApiReply {
    const { image, tags } = JSON.parse(body);
    if (image === 'no such image')
      return refuse(422, 'unprocessable_entity', 'You specified an invalid image for Droplet creation.');
    const machine = fake.add({ state: 'new', tag: tags.at(-1) });
    effects.push(`launch ${machine.id}`);
    return { status: 202, body: { droplet: { id: Number(machine.id), status: 'new' } } };
  }

  function act(machine: FakeMachine, type: string): ApiReply {
    const isOn = machine.state === 'active';
    if (type === 'power_on') {
      if (isOn) return refuse(422, 'unprocessable_entity', 'Droplet is already powered on.');
      power(fake, machine, 'start', 'active');
    } else if (type === 'shutdown' || type === 'power_off') {
      if (!isOn) return refuse(422, 'unprocessable_entity', 'Droplet is already powered off.');
      power(fake, machine, 'stop', 'off');
    } else power(fake, machine, 'reboot', 'active');
    return acted(type);
  }

  function assign(ip: string, { body }: ApiRequest): ApiReply {
    const machine = machines.find(({ id }) => id === String(JSON.parse(body).droplet_id));
    if (!machine) return refuse(404, 'not_found', 'The resource you were accessing could not be found.');
    if (fake.pending-- > 0) return refuse(422, 'unprocessable_entity', 'The Droplet already has a pending event.');
    machine.ip = ip;
    machine.state = 'active';
    return acted('assign_ip');
  }

  const api = await apiServer((request) => {
    const { method, path } = request;
    if (request.headers.authorization !== `Bearer ${CANARY}`) return refuse(401, 'unauthorized', 'Unable to authenticate you.');
    if (method === 'GET' && path === '/v2/droplets') return pageOf('droplets', machines.map(shown), request);
    if (method === 'GET' && path === '/v2/reserved_ips') {
      const taken = machines.flatMap(({ id, ip }) => (ip === null ? [] : [{ ip, droplet: { id: Number(id) } }]));
      return pageOf('reserved_ips', [{ ip: '10.8.0.1', droplet: null }, ...taken], request);
    }
    if (method === 'POST' && path === '/v2/droplets') return create(request);
    const [, ip] = /^\/v2\/reserved_ips\/([^/]+)\/actions$/.exec(path) ?? [];
    if (ip !== undefined) return assign(ip, request);
    const [, id, actions] = /^\/v2\/droplets\/([^/]+)(\/actions)?$/.exec(path) ?? [];
    const machine = machines.find((one) => one.id === id);
    if (!machine) return refuse(404, 'not_found', 'The resource you were accessing could not be found.');
    if (method === 'POST' && actions) return act(machine, JSON.parse(request.body).type);
    machines.splice(machines.indexOf(machine), 1);
    effects.push(`terminate ${machine.id}`);
    return { status: 204 };
  });

  const fake: FakeDigitalocean = {
    name: 'digitalocean',
    words: { running: 'active', stopped: 'off' },
    api,
    machines,
    effects,
    pageSize: 200,
    pending: 0,
    add(machine) {
      const made = { id: String(3000 + machines.length + effects.length), ip: null, state: 'active', ...machine };
      machines.push(made);
      return made;
    },
    driver: (options = {}) =>
      digitalocean({
        ...QUICK,
        allow: [api.host],
        url: `${api.url}/v2`,
        token: secret(CANARY),
        address: 'reserved',
        launch: { region: 'nyc3', size: 's-1vcpu-1gb', image: 'debian-12' },
        ...options,
      }),
    close: () => api.close(),
  };
  return fake;
}
