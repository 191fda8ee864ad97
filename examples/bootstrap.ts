/**
 * Brings an archive to a host in its version, starts an agent there, brings the next version, and switches back to the first. It needs
 * a host of yours, which is to have sh, tar, gzip, sha256sum and flock; there it writes to ~/fleetbeat-example, and leaves an agent.
 *
 *   npx tsx examples/bootstrap.ts 10.0.0.102 admin ~/.ssh/id_ed25519 ~/.ssh/known_hosts
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFleet, parseIp, probed } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { ssh } from 'fleetbeat/adapters/ssh';

const [address = '', username = '', identity = '', knownHosts = '', port = '22'] = process.argv.slice(2);
const ip = parseIp(address);
if (!ip || !knownHosts) throw new Error('usage: bootstrap.ts IP USER IDENTITY KNOWN_HOSTS [PORT]');

const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-example-'));
const archiveOf = (version: string): string => {
  writeFileSync(join(folder, 'greeting'), `hello from ${version}\n`);
  const file = join(folder, `greeting-${version}.tar.gz`);
  execFileSync('tar', ['-czf', file, '-C', folder, 'greeting']);
  return file;
};

const shell = ssh({
  username,
  privateKey: readFileSync(identity, 'utf8'),
  knownHosts: readFileSync(knownHosts, 'utf8'),
  port: Number(port),
});

/** A fleet that wants another version makes its hosts climb to it. */
async function bootstrap(version: string, file: string): Promise<void> {
  const binaries = { artefact: { file, version, to: '~/fleetbeat-example/greeting' } };
  const agent = { unit: { to: '~/fleetbeat-example/agent', everyMs: 1000 } };
  const instances = probed(local({ instances: [{ ip: address }] }), shell, { bootstrap: { binaries, agent } });
  await using fleet = createFleet({ drivers: { instances: [instances] }, store: memory() });
  await fleet.beat();
  const { started } = await fleet.dispatch({ level: 'instances', action: 'bootstrap_ncc', group: 'all' });
  fleet.start(100);
  for (const { id } of started) await fleet.settled(id);
  const greeting = ['sh', '-c', 'cat ~/fleetbeat-example/greeting/current/greeting'];
  const { stdout } = await shell.run(ip as NonNullable<typeof ip>, greeting, { deadlineMs: 5000 }, new AbortController().signal);
  console.log(`${fleet.views()[0]?.state}: ${stdout.trim()}`);
}

try {
  await bootstrap('1.0', archiveOf('1.0'));
  await bootstrap('1.1', archiveOf('1.1'));
  // The host still has it, so the file is not even looked for.
  await bootstrap('1.0', '/no/longer/there.tar.gz');
} finally {
  await shell.close();
  rmSync(folder, { recursive: true });
}
