import { copyFileSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFleetError } from 'fleetbeat';
import { afterAll, describe, expect, test } from 'vitest';
import { check } from '../../src/cli/config/check.ts';
import { rules } from '../../src/cli/config/rules.ts';
import { makeArchive } from '../support/archives.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';
import { cli } from './cli-process.ts';
import { documentsIn, folderWith } from './command-line.ts';

const withBootstrap = (bootstrap: unknown) => ({
  clouds: { rack: { driver: 'local', active: true, instances: [{ ip: '10.0.0.1' }] } },
  ssh: { username: 'admin', identityFile: 'id', knownHosts: 'known_hosts' },
  bootstrap,
});

function refusalOf(bootstrap: unknown): string {
  try {
    check(withBootstrap(bootstrap), { file: '/fleet/fleetbeat.config.json' });
  } catch (error) {
    if (isFleetError(error) && error.code === 'ER0230') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('the bootstrap of a configuration', () => {
  test.each<[string, unknown]>([
    ['commands', { binaries: { argv: ['true'], marker: '/m' }, agent: { argv: ['true'], marker: '~/m', version: '2' } }],
    [
      'an artefact and a unit',
      { binaries: { artefact: { file: 'a.tar', version: '1', to: '/opt/a' } }, agent: { unit: { to: '~/a' } } },
    ],
    ['no agent', { agent: 'none', parallel: 4 }],
  ])('may be %s', (_, bootstrap) => {
    expect(refusalOf(bootstrap)).toBe('accepted');
  });

  const artefact = { file: 'a.tar', version: '1', to: '/opt/a' };
  test.each<[string, unknown, string]>([
    [
      'a relative folder',
      { binaries: { artefact: { ...artefact, to: 'opt/a' } } },
      'bootstrap.binaries.artefact.to: found "opt/a"',
    ],
    [
      'a version that leads elsewhere',
      { binaries: { artefact: { ...artefact, version: '../1' } } },
      'artefact.version: found "../1"',
    ],
    ['a checksum that is none', { binaries: { artefact: { ...artefact, sha256: 'abc' } } }, 'allowed: 64 hex digits'],
    ['an unknown field', { binaries: { artefact: { ...artefact, sha512: '' } } }, 'found the unknown field "sha512"'],
    ['an agent of another word', { agent: 'no' }, 'bootstrap.agent: found "no", allowed: none, or an object with a unit'],
    ['half a rung', { binaries: { marker: '/m' } }, 'bootstrap.binaries.argv: found nothing'],
  ])('is not %s', (_, bootstrap, mistake) => {
    expect(refusalOf(bootstrap)).toContain(mistake);
  });

  test('is told in all its forms by the rules', () => {
    const told = JSON.stringify(rules().properties?.bootstrap);
    for (const word of ['"artefact"', '"unit"', '"marker"', '"none"']) expect(told).toContain(word);
  });
});

requires('sshd')('a command line', () => {
  const user = makeSshKey();
  let sshd: SshdServer;
  afterAll(async () => {
    const pid = join(sshd.home, 'agent', 'pid');
    if (existsSync(pid)) process.kill(Number(readFileSync(pid, 'utf8').split(' ')[0]), 'SIGTERM');
    await sshd.stop();
  });

  test('bootstraps an instance with an archive that lies beside the configuration, and starts its agent', async () => {
    sshd = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    const cwd = folderWith({
      clouds: { rack: { driver: 'local', active: true, instances: [{ id: 'i-1', ip: sshd.address }] } },
      ssh: {
        username: sshd.username,
        identityFile: 'id',
        knownHosts: 'known_hosts',
        port: sshd.port,
      },
      bootstrap: {
        binaries: { artefact: { file: 'shop-1.4.2.tar.gz', version: '1.4.2', to: '~/shop' } },
        agent: { unit: { to: '~/agent', everyMs: 1000 } },
      },
      beatEvery: '100ms',
    });
    writeFileSync(join(cwd, 'id'), user.privateKey, { mode: 0o600 });
    writeFileSync(join(cwd, 'known_hosts'), `${sshd.knownHostsLine()}\n`);
    copyFileSync(makeArchive('shop.tar.gz', { shop: 'open' }), join(cwd, 'shop-1.4.2.tar.gz'));

    const ended = await cli(['instances', 'bootstrap_ncc', sshd.address], { cwd });
    expect(ended).toMatchObject({ exit: 0, stderr: '' });
    expect(documentsIn(ended.stdout)).toMatchObject([{ instances: [{ 'i-1': { state: 'running', rung: 'managed' } }] }]);
    expect(readlinkSync(join(sshd.home, 'shop', 'current'))).toBe('releases/1.4.2');
    expect(readFileSync(join(sshd.home, 'shop', 'current', 'shop'), 'utf8')).toBe('open');
  });
});
