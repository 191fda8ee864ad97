import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { fromViews, type HeartbeatBody, instanceState, read, serviceState, toHeartbeat, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { deriveInstance, deriveService, FULL_LADDER } from '../../src/domain/derive.ts';
import { asInstant, instanceKey, parseIp, serviceKey } from '../../src/domain/identity.ts';
import { createInventory } from '../../src/domain/inventory.ts';
import { serviceView, views } from './arbitraries.ts';

const READ_AT = asInstant(1_700_000_000_000);
const META = { source: 'node1', epoch: 'boot-7', seq: 3, at: READ_AT };

const taken = (body: HeartbeatBody, options: { cloud?: string; arrival?: number } = {}) =>
  toHeartbeat({ kind: 'heartbeat', body }, { readAt: READ_AT, arrival: 1, ...options });

const oneInstance = (row: object) => {
  const text = JSON.stringify({ instances_status: { instances: [{ i: { id: 'i', ip: null, state: 'running', ...row } }] } });
  return taken(read(text, { kind: 'heartbeat' }).body).instances?.items[0];
};

const oneService = (row: object) => {
  const n = { name: 'n', ip: '10.0.0.1', mode: 'mariadb', status: 'master', state: 'running', code: '000000', ...row };
  const text = JSON.stringify({ services_status: { services: [{ n }] } });
  return taken(read(text, { kind: 'heartbeat' }).body).services?.items[0];
};

describe('the heartbeat of the seed', () => {
  const sample = readFileSync(new URL('../support/seed/heartbeat.json', import.meta.url), 'utf8');
  const heartbeat = toHeartbeat(read(sample, { lenient: true, kind: 'heartbeat' }), {
    readAt: READ_AT,
    arrival: 42,
    cloud: 'ec2',
  });

  test('comes from its host, in the order of its arrival', () => {
    expect(heartbeat).toMatchObject({ source: '10.0.0.102', epoch: 'arrival', seq: 42 });
    expect(heartbeat.host).toEqual({ ips: ['10.0.0.102'], ram: '0' });
    expect(heartbeat.hostAt).toBeUndefined();
  });

  test('is complete, with 5 instances of the cloud and 12 services, read when it was taken', () => {
    expect(heartbeat.instances).toMatchObject({ complete: true, readAt: READ_AT, problems: [] });
    expect(heartbeat.instances?.items).toHaveLength(5);
    expect(heartbeat.services?.items).toHaveLength(12);
    expect(heartbeat.instances?.items[1]).toEqual({
      cloud: 'ec2',
      id: 'i-7fba6203',
      ip: '10.0.0.209',
      readAt: READ_AT,
      power: { state: 'stopped', raw: 'stopped' },
    });
  });

  test('means by running that ssh answers, and by a code what the service holds', () => {
    const inventory = createInventory();
    inventory.apply(
      { ...heartbeat, host: { ips: ['10.0.0.102', '10.0.0.47', '10.0.0.48'].flatMap((ip) => parseIp(ip) ?? []) } },
      READ_AT,
    );
    expect(inventory.get(instanceKey('ec2', 'i-987388e6'))?.state).toBe('ssh-up');
    expect(inventory.get(serviceKey('node10'))).toMatchObject({ state: 'up', role: 'master', mode: 'mariadb', ip: '10.0.0.102' });
    expect(inventory.get(serviceKey('node11'))).toMatchObject({ state: 'failing', code: 'ER0003' });
  });
});

describe('a heartbeat that is taken', () => {
  test('is of an unknown source where neither a source nor a host is told', () => {
    expect(taken({ services_status: { services: [] } })).toMatchObject({ source: 'unknown', epoch: 'arrival', seq: 1 });
  });

  test('leaves out the level that it does not have, and lists no host that it does not name', () => {
    const heartbeat = taken({ services_status: { services: [] } });
    expect(Object.keys(heartbeat)).not.toContain('instances');
    expect(Object.keys(heartbeat)).not.toContain('host');
  });

  test('counts each reachable address of its host once', () => {
    const nics = ['na', '127.0.0.1', '::1', '127.9.9.9', '::ffff:127.0.0.1', '10.0.0.1', '10.0.0.1', 'FD00::0:1'];
    const interfaces = [Object.fromEntries(nics.map((IP, n) => [`eth${n}`, { IP, STATE: 'UP' }]))];
    const text = JSON.stringify({ host: { interfaces }, services_status: { services: [] } });
    expect(taken(read(text, { kind: 'heartbeat' }).body).host).toEqual({ ips: ['10.0.0.1', 'fd00::1'] });
  });

  test('gives an instance the cloud of its row, its document, its reader or none', () => {
    const row = { i: { id: 'i', ip: null, state: 'stopped' } } as const;
    const cloudOf = (body: HeartbeatBody, cloud?: string) =>
      taken(body, cloud === undefined ? {} : { cloud }).instances?.items[0]?.cloud;
    expect(cloudOf({ cloud: 'b', instances_status: { instances: [{ i: { ...row.i, cloud: 'a' } }] } }, 'c')).toBe('a');
    expect(cloudOf({ cloud: 'b', instances_status: { instances: [row] } }, 'c')).toBe('b');
    expect(cloudOf({ instances_status: { instances: [row] } }, 'c')).toBe('c');
    expect(cloudOf({ instances_status: { instances: [row] } })).toBe('wire');
    expect(() => cloudOf({ instances_status: { instances: [] } }, 'a/b')).toThrow('found "a/b", allowed: the name of a cloud');
  });

  test('says of an instance what its rung and its reason say, and leaves the rest open', () => {
    const running = { state: 'running', raw: 'running' };
    expect(oneInstance({})).toMatchObject({ power: running, ssh: 'up' });
    expect(oneInstance({})).not.toHaveProperty('agent');
    expect(oneInstance({ rung: 'managed', raw: 'ACTIVE' })).toMatchObject({
      power: { raw: 'ACTIVE' },
      binaries: expect.any(String),
      agent: true,
    });
    expect(oneInstance({ state: 'pending' })).not.toHaveProperty('ssh');
    expect(oneInstance({ state: 'pending', reason: 'unreachable: refused' })).toMatchObject({ power: running, ssh: 'refused' });
    expect(oneInstance({ state: 'pending', reason: 'it is late' })).toMatchObject({ power: { state: 'pending' } });
    expect(oneInstance({ state: 'unreachable' })).toMatchObject({ power: running, ssh: 'timeout' });
    expect(oneInstance({ state: 'absent' })).toBeUndefined();
  });

  test.each([
    ['000000', 'running', undefined, { installed: true, up: true }],
    ['000000', 'running', 'routed', { installed: true, up: true, replicating: true, routed: true }],
    ['ER0003', 'Database communication failure', undefined, { up: false }],
    ['ER0003', 'Database communication failure', 'installed', { installed: true, up: false }],
    ['ER0023', 'stopped', undefined, { installed: true, up: false }],
    ['ER0024', 'uninstalled', undefined, { installed: false, up: false }],
    ['ER0019', 'starting', 'installed', { installed: true }],
    ['XX0000', 'news', undefined, {}],
  ])('says of a service with code %s (%s) and rung %s what it holds', (code, state, rung, holds) => {
    expect(oneService({ code, state, ...(rung && { rung }) })?.holds).toEqual(holds);
  });

  test('carries reasons in one line that is safe to show', () => {
    expect(oneService({ reason: 'a\u001b[31m\nb' })?.reason).toBe('a [31m b');
  });
});

describe('views that are written and read again', () => {
  test('keep their state, rung, code and place', () => {
    fc.assert(
      fc.property(views, (all) => {
        const { body } = read(write(fromViews(all, META)), { kind: 'heartbeat' });
        const heartbeat = taken(body);
        const instances = all.filter((view) => view.level === 'instances');
        const rows = (body.instances_status?.instances ?? []).flatMap((entry) => Object.values(entry));
        expect(rows.map(instanceState)).toEqual(instances.map((view) => view.state));

        const present = instances.filter((view) => view.state !== 'absent');
        const items = heartbeat.instances?.items ?? [];
        expect(items.map(({ cloud, id }) => instanceKey(cloud, id ?? ''))).toEqual(present.map((view) => view.key));
        const derived = items.map((facts, index) => {
          const wasUp = present[index]?.state === 'unreachable';
          return deriveInstance(facts, { state: 'unknown', code: '000000', holds: new Set(), wasUp, misses: 2 }, 2);
        });
        expect(derived.map(({ state }) => state)).toEqual(present.map((view) => view.state));

        const services = all.filter((view) => view.level === 'services');
        const facts = heartbeat.services?.items ?? [];
        expect(facts.map((one) => [one.name, one.ip ?? null])).toEqual(services.map((view) => [view.name, view.ip]));
        for (const [index, view] of services.entries()) {
          const one = facts[index];
          expect(one && deriveService(one, FULL_LADDER)).toMatchObject({ state: view.state, code: view.code, holds: view.holds });
        }
      }),
    );
  });

  test('keep how ssh did not answer', () => {
    fc.assert(
      fc.property(views, (all) => {
        const silent = all.filter((view) => view.code.startsWith('ER024') && view.level === 'instances');
        const heartbeat = taken(read(write(fromViews(silent, META)), { kind: 'heartbeat' }).body);
        const past = { state: 'unknown', code: '000000', holds: new Set<string>(), wasUp: false, misses: 0 } as const;
        const codes = heartbeat.instances?.items.map((facts) => deriveInstance(facts, past, 2).code);
        expect(codes).toEqual(silent.map((view) => view.code));
      }),
    );
  });

  test('write the row of a service in the state of its code', () => {
    fc.assert(
      fc.property(serviceView, (view) => {
        const [entry] = fromViews([view], META).body.services_status?.services ?? [];
        const row = entry?.[view.name];
        expect(row && serviceState(row)).toBe(view.state);
      }),
    );
  });

  test('say who wrote them and when', () => {
    expect(taken(fromViews([], META).body)).toMatchObject({
      source: 'node1',
      epoch: 'boot-7',
      seq: 3,
      hostAt: '2023-11-14T22:13:20.000Z',
    });
    expect(fromViews([], { ...META, at: '2024-01-01T01:00:00+01:00' }).body.at).toBe('2024-01-01T00:00:00.000Z');
    expect(() => fromViews([], { ...META, at: 'soon' })).toThrow('document at at: found "soon"');
  });
});
