import { memory } from 'fleetbeat/adapters/memory';
import { describe, expect, test } from 'vitest';
import { storeContract } from '../../src/testing/store-contract.ts';

describe('memory keeps the contract of a store', () => {
  const store = memory();
  for (const { name, run } of storeContract) test.concurrent(name, () => run(async () => store));
});

describe('memory', () => {
  test('what has a ttl expires on the given clock', async () => {
    let now = 0;
    const store = memory({ now: () => now });
    await store.set('lease', 'mine', 1000);
    now = 999;
    expect(await store.get('lease')).toBe('mine');
    expect(await store.add('lease', 'yours')).toBe(false);
    now = 1000;
    expect(await store.get('lease')).toBeNull();
    expect(await store.add('lease', 'yours')).toBe(true);
  });

  test('a store that grows forgets only what has expired', async () => {
    let now = 0;
    const store = memory({ now: () => now });
    for (let i = 0; i < 5000; i++) {
      now = i;
      await store.set(`brief ${i}`, 'value', 10);
      await store.set(`lasting ${i}`, 'value');
    }
    for (let i = 0; i < 5000; i++) {
      expect(await store.get(`lasting ${i}`)).toBe('value');
      expect(await store.get(`brief ${i}`)).toBe(i > 5000 - 11 ? 'value' : null);
    }
  });

  test('stores do not see each other', async () => {
    const [one, other] = [memory(), memory()];
    await one.set('key', 'value');
    expect(await other.get('key')).toBeNull();
  });
});
