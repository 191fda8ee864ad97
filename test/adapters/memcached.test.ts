import { memcached } from 'fleetbeat/adapters/memcached';
import { Client } from 'memjs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../src/contracts.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { type Fault, type FaultyProxy, faultyProxy, type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

const PREFIX = 'test:';
const DEADLINE_MS = 400;
/** Longer than a test may take. */
const LONG_MS = 60_000;
const MIB = 1024 * 1024;

const closers: (() => Promise<void> | undefined)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A store that is closed after the test. */
function storeAt(servers: string, deadlineMs = DEADLINE_MS): Store {
  const store = memcached({ servers, prefix: PREFIX, deadlineMs });
  closers.push(() => store.close?.());
  return store;
}

async function proxyTo(target: MemcachedServer, ...faults: Fault[]): Promise<FaultyProxy> {
  const proxy = await faultyProxy(target, faults);
  closers.push(proxy.stop);
  return proxy;
}

async function faultyStore(target: MemcachedServer, ...faults: Fault[]): Promise<{ store: Store; proxy: FaultyProxy }> {
  const proxy = await proxyTo(target, ...faults);
  return { store: storeAt(proxy.address), proxy };
}

const openSockets = () => process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;

/** memjs as it is, to put things behind the store's back. */
function bareClient(address: string): Client {
  const client = Client.create(address, { logger: { log() {} } });
  closers.push(async () => client.close());
  return client;
}

const lost = { code: 'ER0228', retryable: true };

requires('memcached')('memcached keeps the contract of a store', () => {
  let server: MemcachedServer;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());

  for (const { name, run } of storeContract) {
    test.concurrent(name, () => run(async () => memcached({ servers: server.address, prefix: PREFIX })));
  }
});

requires('memcached')('memcached', () => {
  let server: MemcachedServer;
  let store: Store;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());
  afterEach(() => bareClient(server.address).flush());

  const connectedStore = () => {
    store = storeAt(server.address);
    return store;
  };

  test('a counter reads right beyond 32 bits', async () => {
    connectedStore();
    await bareClient(server.address).set(`${PREFIX}n`, String(2 ** 32 - 1));
    expect(await store.increment('n')).toBe(2 ** 32);
    expect(await store.get('n')).toBe(String(2 ** 32));
  });

  test('a new counter that many begin at once gives each of them a number of its own', async () => {
    const handles = Array.from({ length: 8 }, () => memcached({ servers: server.address }));
    for (let i = 0; i < 50; i++) {
      const counts = await Promise.all(handles.map((handle) => handle.increment(`begun-at-once-${i}`)));
      expect(counts.sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    await Promise.all(handles.map((handle) => handle.close?.()));
  });

  test('a counter beyond what a number can hold is an error', async () => {
    connectedStore();
    await bareClient(server.address).set(`${PREFIX}n`, String(Number.MAX_SAFE_INTEGER));
    await expect(store.increment('n')).rejects.toMatchObject({ code: 'ER0228', retryable: false });
  });

  test('the largest value that is let through is one that the server takes', async () => {
    connectedStore();
    const key = 'k'.repeat(250 - PREFIX.length);
    let [taken, refused] = [0, 2 * MIB];
    while (refused - taken > 1) {
      const length = Math.floor((taken + refused) / 2);
      const error = await store.set(key, 'x'.repeat(length)).catch((reason) => reason);
      if (error === undefined) taken = length;
      else {
        expect(error).toMatchObject({ code: 'ER0223' });
        refused = length;
      }
    }
    expect(taken).toBeGreaterThan(MIB - 1024);
    expect(await store.get(key)).toHaveLength(taken);
  });

  test('a value that something else has written is an error, and can be overwritten', async () => {
    connectedStore();
    await bareClient(server.address).set(`${PREFIX}k`, 'not framed');
    await expect(store.get('k')).rejects.toMatchObject(lost);
    await store.set('k', 'value');
    expect(await store.get('k')).toBe('value');
  });

  test('a value under the key of another is an error', async () => {
    connectedStore();
    const client = bareClient(server.address);
    await store.set('one', 'value');
    await client.set(`${PREFIX}other`, (await client.get(`${PREFIX}one`)).value ?? '');
    await expect(store.get('other')).rejects.toMatchObject(lost);
  });

  test('stores with different prefixes share a server and no key', async () => {
    connectedStore();
    const other = memcached({ servers: server.address, prefix: 'other:' });
    closers.push(() => other.close?.());
    await store.set('key', 'mine');
    expect(await other.add('key', 'yours')).toBe(true);
    expect(await store.get('key')).toBe('mine');
  });

  test('a plain key is readable on the server', async () => {
    connectedStore();
    await store.set('instances/aws/i-1', 'value');
    expect(String((await bareClient(server.address).get(`${PREFIX}instances/aws/i-1`)).value)).toMatch(/\nvalue$/);
  });

  test('a swap meets a server without compare-and-swap with an error, not with a lost update', async () => {
    const bare = await startMemcached({ args: ['-C'] });
    closers.push(bare.stop);
    const unsafe = storeAt(bare.address);
    await unsafe.set('k', 'old');
    await expect(unsafe.swap('k', 'old', 'new')).rejects.toMatchObject({ code: 'ER0230' });
    expect(await unsafe.get('k')).toBe('old');
  });

  test('what a full server refuses is an error, and the connection stays', async () => {
    const full = await startMemcached({ args: ['-M', '-m', '8'] });
    closers.push(full.stop);
    const { store, proxy } = await faultyStore(full);
    const fill = async () => {
      for (let i = 0; i < 100; i++) await store.set(`k${i}`, 'x'.repeat(500_000));
    };
    await expect(fill()).rejects.toMatchObject(lost);
    await store.get('k0');
    expect(proxy.connections().accepted).toBe(1);
  });

  test('a restarted server is found again, empty', async () => {
    const own = await startMemcached();
    closers.push(own.stop);
    const store = storeAt(own.address);
    await store.set('k', 'value');
    await own.stop();
    await expect(store.set('k', 'value')).rejects.toMatchObject(lost);
    await own.restart();
    expect(await store.get('k')).toBeNull();
    expect(await store.add('k', 'value')).toBe(true);
  });

  test('a frozen server lets every operation fail by its deadline, and serves again once it is thawed', async () => {
    const own = await startMemcached();
    closers.push(own.stop);
    const store = storeAt(own.address);
    await store.set('k', 'value');
    own.freeze();
    const startedAt = performance.now();
    const operations = [store.get('k'), store.set('k', 'v'), store.add('k', 'v'), store.increment('n'), store.delete('k')];
    for (const operation of await Promise.allSettled(operations)) {
      expect(operation).toMatchObject({ status: 'rejected', reason: lost });
    }
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS * 5);
    own.thaw();
    // Another key: what lay in the frozen server's buffers may still be carried out, also after this.
    await expect.poll(() => store.set('other', 'again').catch(() => 'failed')).toBeUndefined();
    expect(await store.get('other')).toBe('again');
  });

  test('a connection that a frozen server will never close is not left open', async () => {
    const own = await startMemcached();
    closers.push(own.stop);
    await expect.poll(openSockets).toBe(0);
    const store = storeAt(own.address);
    await store.set('k', 'value');
    own.freeze();
    await expect(store.set('k', 'value')).rejects.toMatchObject(lost);
    await expect.poll(openSockets).toBe(0);
  });

  test('an answer that came while the event loop was blocked counts', async () => {
    await connectedStore().set('k', 'value');
    const count = store.increment('n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, DEADLINE_MS * 2);
    expect(await count).toBe(1);
  });

  describe('behind a connection that fails', () => {
    test('a read that is never answered is asked again on a new connection, and the old one is closed', async () => {
      await connectedStore().set('k', 'value');
      const { store, proxy } = await faultyStore(server, 'hang');
      expect(await store.get('k')).toBe('value');
      await proxy.closed(0);
      expect(proxy.connections()).toEqual({ accepted: 2, open: 1 });
    });

    test('a read whose connection is closed under it is asked again', async () => {
      await connectedStore().set('k', 'value');
      const { store } = await faultyStore(server, 'close');
      expect(await store.get('k')).toBe('value');
    });

    test('a read that fails twice is an error with its cause', async () => {
      const { store } = await faultyStore(server, 'close', 'hang');
      await expect(store.get('k')).rejects.toMatchObject({ ...lost, cause: expect.any(Error) });
    });

    test('the rest of half an answer is never taken for another', async () => {
      await connectedStore().set('k', 'the right value');
      const { store, proxy } = await faultyStore(server, 'half an answer');
      expect(await store.get('k')).toBe('the right value');
      expect(await store.get('k')).toBe('the right value');
      expect(proxy.connections().accepted).toBe(2);
    });

    test('a damaged value is never taken for data', async () => {
      await connectedStore().set('k', 'value');
      const { store } = await faultyStore(server, 'damage', 'damage', 'none');
      await expect(store.get('k')).rejects.toMatchObject(lost);
      expect(await store.get('k')).toBe('value');
    });

    test('an increment whose answer is lost is an error, and was made once', async () => {
      connectedStore();
      const { store: faulty } = await faultyStore(server, 'lose answers');
      await expect(faulty.increment('n')).rejects.toMatchObject(lost);
      expect(await store.get('n')).toBe('1');
      expect(await faulty.increment('n')).toBe(2);
    });

    test('an increment is not made again after a reset', async () => {
      connectedStore();
      const { address } = await proxyTo(server, 'half an answer');
      await expect(storeAt(address, LONG_MS).increment('n')).rejects.toMatchObject(lost);
      expect(await store.get('n')).toBe('1');
    });

    test('a write whose answer is lost is an error, never a false', async () => {
      connectedStore();
      for (const write of [
        (faulty: Store) => faulty.add('added', 'value'),
        (faulty: Store) => faulty.delete('deleted'),
        (faulty: Store) => faulty.set('set', 'value'),
      ]) {
        const { store: faulty } = await faultyStore(server, 'lose answers');
        await expect(write(faulty)).rejects.toMatchObject(lost);
      }
      expect(await store.get('added')).toBe('value');
    });

    test('all that is in flight when the store is closed fails at once', async () => {
      const { address, connections } = await proxyTo(server, 'hang');
      const store = storeAt(address, LONG_MS);
      const first = store.set('first', 'value');
      await expect.poll(() => connections().open).toBe(1);
      const writes = Promise.allSettled([first, ...Array.from({ length: 50 }, (_, i) => store.set(`k${i}`, 'value'))]);
      await store.close?.();
      for (const write of await writes) expect(write).toMatchObject({ status: 'rejected', reason: lost });
    });

    test('a write whose connection is reset fails, and the next one succeeds', async () => {
      const { store, proxy } = await faultyStore(server, 'half an answer');
      await expect(store.set('k', 'value')).rejects.toMatchObject(lost);
      await store.set('k', 'again');
      expect(await store.get('k')).toBe('again');
      expect(proxy.connections().accepted).toBe(2);
    });
  });

  test('close ends the connection, and what is asked afterwards fails for good', async () => {
    const { store, proxy } = await faultyStore(server);
    await store.set('k', 'value');
    await store.close?.();
    await proxy.closed(0);
    await expect(store.get('k')).rejects.toMatchObject({ code: 'ER0228', retryable: false });
    expect(proxy.connections()).toEqual({ accepted: 1, open: 0 });
  });
});

describe('memcached without a server', () => {
  test('a refused connection is an error at once', async () => {
    const proxy = await faultyProxy({ host: '127.0.0.1', port: 1 }, []);
    await proxy.stop();
    const store = storeAt(proxy.address);
    await expect(store.get('k')).rejects.toMatchObject({ ...lost, cause: { code: 'ECONNREFUSED' } });
  });

  test.each([
    '127.0.0.1:11211,127.0.0.1:11212',
    '',
    'memcached://localhost',
    'user:password@localhost:11211',
    'localhost:0',
    'localhost:65536',
    'local host',
    '::1',
  ])('the address %j is refused', (servers) => {
    expect(() => memcached({ servers })).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test('a refused address does not show the password in it', () => {
    expect(() => memcached({ servers: 'user:hunter2@localhost' })).not.toThrow(/hunter2/);
  });

  test.each([{ prefix: 'a b' }, { prefix: 'k'.repeat(101) }, { deadlineMs: 0 }, { itemBytes: Number.NaN }])(
    'the options %j are refused',
    (options) => {
      expect(() => memcached({ servers: 'localhost', ...options })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    },
  );
});
