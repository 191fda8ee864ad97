import type { LookupAddress } from 'node:dns';
import { digitalocean, secret } from 'fleetbeat/adapters/libcloud';
import { expect, test, vi } from 'vitest';
import { never, want } from '../support/clouds/calls.ts';

vi.mock('node:dns', async (original) => ({
  ...(await original<typeof import('node:dns')>()),
  lookup(name: string, _: unknown, callback: (error: null, addresses: LookupAddress[]) => void) {
    const address = name.replace('.test', '').replaceAll('-', '.');
    callback(null, [{ address, family: 4 }]);
  },
}));

test.each([
  ['169-254-169-254.test', ['169-254-169-254.test', '169.254.169.254']],
  ['127-0-0-1.test', []],
  ['127-0-0-1.test', ['127.0.0.1:444']],
])('a name that resolves to what %s says is not connected to where %j are listed', async (host, allow) => {
  const driver = digitalocean({ url: `https://${host}/v2`, token: secret('a token'), allow });
  await expect(driver.observe(want, never)).rejects.toMatchObject({
    code: 'ER0224',
    detail: expect.stringContaining('resolves to'),
  });
});
