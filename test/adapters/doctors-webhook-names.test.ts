import type { LookupAddress } from 'node:dns';
import { webhookDoctor } from 'fleetbeat/adapters/doctors/webhook';
import { doctorWire } from 'fleetbeat/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { serviceChange } from '../support/changes.ts';
import { answering, type HttpServer, httpServer } from '../support/http-server.ts';

/** What the names of this test resolve to, one answer after another. */
const names = vi.hoisted(() => new Map<string, string[]>());

vi.mock('node:dns', async (original) => ({
  ...(await original<typeof import('node:dns')>()),
  lookup(name: string, _: unknown, callback: (error: Error | null, addresses: LookupAddress[]) => void) {
    const address = names.get(name)?.shift();
    if (address === undefined) callback(Object.assign(new Error(`no ${name}`), { code: 'ENOTFOUND' }), []);
    else callback(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
  },
}));

const batch = { id: 'b1', changes: [serviceChange('node10', 1)] };
let server: HttpServer;

beforeEach(async () => {
  server = await httpServer(answering(200));
});
afterEach(() => server.close());

function deliver(name: string, addresses: readonly string[], allowHttp = false) {
  names.set(name, [...addresses]);
  const url = server.url.replace(/127[\d.]+/, name);
  return webhookDoctor({ name: 'hook', url, wire: doctorWire({ cloud: 'local' }), allowHttp }).deliver(
    batch,
    new AbortController().signal,
  );
}

const here = () => new URL(server.url).hostname;

test('a name is connected to at the address that was judged, and is not looked up again', async () => {
  await deliver('ops.test', [here(), '169.254.169.254']);
  expect(server.received).toHaveLength(1);
  expect(names.get('ops.test')).toEqual(['169.254.169.254']);
});

test.each(['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254', '0.0.0.0', 'fd00:ec2::254'])(
  'a name that resolves to %s is refused',
  async (address) => {
    await expect(deliver('ops.test', [address], true)).rejects.toMatchObject({ code: 'ER0224', retryable: false });
  },
);

test('http to a name that is not this machine is refused before anything is sent', async () => {
  await expect(deliver('ops.test', ['10.11.12.13'])).rejects.toMatchObject({ code: 'ER0224', retryable: false });
});

test('a name that is not found has failed for now', async () => {
  await expect(deliver('gone.test', [])).rejects.toMatchObject({ code: 'ER0018', retryable: true });
});
