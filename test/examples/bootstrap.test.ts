import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runExample } from '../support/run-example.ts';
import { loopback, makeSshKey, requires, startSshd } from '../support/servers.ts';

requires('sshd')('bootstrap.ts', () => {
  test('brings a host two versions of an archive and an agent, and switches it back', async () => {
    const user = makeSshKey();
    const host = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    const known = join(host.home, 'known_hosts');
    writeFileSync(known, `${host.knownHostsLine()}\n`);
    try {
      const text = await runExample('bootstrap.ts', host.address, host.username, user.path, known, String(host.port));
      expect(text.trim().split('\n')).toEqual(['managed: hello from 1.0', 'managed: hello from 1.1', 'managed: hello from 1.0']);
    } finally {
      const [pid] = readFileSync(join(host.home, 'fleetbeat-example', 'agent', 'pid'), 'utf8').split(' ');
      process.kill(Number(pid), 'SIGTERM');
      await host.stop();
    }
  });
});
