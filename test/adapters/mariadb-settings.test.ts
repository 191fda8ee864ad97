import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { gtidText, isReached, mariadb, missingFrom, parseGtids, secret } from 'fleetbeat/adapters/services/mariadb';
import { describe, expect, test } from 'vitest';
import { optionFile } from '../../adapters/services/mariadb/options.ts';
import { parseIp } from '../../src/domain/identity.ts';
import type { Service } from '../../src/domain/service.ts';
import { RUNS } from '../properties/runs.ts';
import { serverFolder } from '../support/run-folder.ts';
import { requires } from '../support/servers.ts';

const kind = mariadb({ env: { DB_MONITOR: 'from the environment' } });
const passwords = { monitor: { password: secret('m') }, replication: { password: secret('r') } };

describe('the settings of a mariadb', () => {
  test('have defaults, but for the passwords', () => {
    expect(kind.settings({ monitor: { password: { env: 'DB_MONITOR' } }, replication: passwords.replication })).toMatchObject({
      port: 3306,
      dataDir: null,
      serverId: null,
      user: 'mysql',
      binaries: { server: 'mariadbd', client: 'mariadb', install: 'mariadb-install-db', dump: 'mariadb-dump' },
      memoryMb: 128,
      options: {},
      monitor: { user: 'fleetbeat_monitor' },
      replication: { user: 'fleetbeat_replica' },
      checkUser: null,
      clientHosts: '%',
      lagLimitMs: 10_000,
      socket: null,
      answerMs: 2000,
      startMs: 60_000,
      stopMs: 60_000,
    });
  });

  test.each([
    ['port', '0', { port: 0 }],
    ['dataDir', '"/data"', { dataDir: '/data' }],
    ['dataDir', '"/srv/x/../../etc"', { dataDir: '/srv/x/../../etc' }],
    ['at most 90 bytes', 'ddd"', { dataDir: `/srv/${'d'.repeat(90)}` }],
    ['colons', 'a:b"', { dataDir: '/srv/a:b' }],
    ['serverId', '0', { serverId: 0 }],
    ['user', '"-u"', { user: '-u' }],
    ["binaries have as 'server' a program", '"mariadbd; id"', { binaries: { server: 'mariadbd; id' } }],
    ['are server, client, install, dump', '"backup"', { binaries: { backup: 'x' } }],
    ['memoryMb', '4', { memoryMb: 4 }],
    ['options', '{ read_only }', { options: { read_only: 0 } }],
    ['options', '{ read_on }', { options: { read_on: 0 } }],
    ['options', '{ loose_skip_networking }', { options: { loose_skip_networking: true } }],
    ['options', '{ skip_grant_tables }', { options: { skip_grant_tables: true } }],
    ['options', '{ max-connections }', { options: { 'max-connections': 5 } }],
    ['options', '{ init_connect }', { options: { init_connect: 'x' } }],
    ['options', '{ tmpdir }', { options: { tmpdir: 'a\nb=c' } }],
    ["monitor have as 'password' a secret", 'none', { monitor: {} }],
    ["monitor have as 'password' a secret", 'a string', { monitor: { password: 'in the open' } }],
    ["monitor have as 'password' a secret", '{ text }', { monitor: { password: { text: 'in the open' } } }],
    ['a variable that is set', 'DB_OTHER, which is not', { monitor: { password: { env: 'DB_OTHER' } } }],
    ['no administrator', '"root"', { monitor: { ...passwords.monitor, user: 'root' } }],
    ['at most 32 characters', '33 characters', { replication: { password: secret('x'.repeat(33)) } }],
    ['all of them printable ASCII', '4 characters', { replication: { password: secret('caf\u00e9') } }],
    ['none of them a control', '3 characters', { monitor: { password: secret('a\nb') } }],
    [
      'users that differ',
      'each may do only its own',
      { monitor: { ...passwords.monitor, user: 'one' }, replication: { ...passwords.replication, user: 'one' } },
    ],
    ['clientHosts', `"' OR"`, { clientHosts: "' OR" }],
    ['lagLimitMs', '-1', { lagLimitMs: -1 }],
    ['socket', '"sock"', { socket: 'sock' }],
    ['are port, dataDir, serverId, user, binaries', 'password', { password: 'in the open' }],
    ['object', '[]', []],
  ])('are refused with what was found and what is allowed: %s %s', (allowed, found, raw) => {
    const read = () => kind.settings(Array.isArray(raw) ? raw : { ...passwords, ...raw });
    expect(read).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(read).toThrow(allowed);
    expect(read).toThrow(found);
    expect(read).not.toThrow('in the open');
  });

  test('are shown as an option file without the texts of extra options', () => {
    const file = kind.configFile?.(serviceWith({ options: { max_connections: 7, ssl_passphrase: 'hidden' } }), nobody);
    expect(file?.path).toBe('/var/lib/fleetbeat/db1/my.cnf');
    expect(file?.text).toMatch(/^max_connections=7$/m);
    expect(file?.text).toMatch(/^server_id=167772262$/m);
    expect(file?.text).not.toContain('hidden');
  });
});

const nobody = { view: () => undefined, services: () => [] };

const serviceWith = (settings: object, ip = '10.0.0.102'): Service<never> => ({
  name: 'db1',
  ip: parseIp(ip) as NonNullable<ReturnType<typeof parseIp>>,
  mode: 'mariadb',
  status: 'master',
  settings: kind.settings({ ...passwords, ...settings }),
});

/** Printable texts, with what means something to option files, shells and SQL in plenty. */
const hostile = (maxLength: number) =>
  fc
    .string({
      unit: fc.oneof(fc.constantFrom(...`"'\\#=;\`$(){}[]|&<>!*?~ %\u00e9\u{1f600}`), fc.string({ minLength: 1, maxLength: 1 })),
      minLength: 1,
      maxLength,
    })
    .filter((text) => !/\p{Cc}/u.test(text));

requires('mariadbd')('the option file of a mariadb', () => {
  test('is read by MariaDB as it was meant, whatever stands in a path or an option', () => {
    const file = join(serverFolder('options'), 'my.cnf');
    const step = hostile(20).filter((text) => !/[/:]/.test(text) && text !== '.' && text !== '..');
    fc.assert(
      fc.property(step, hostile(40), (folder, text) => {
        const of = serviceWith({ dataDir: `/srv/db/${folder}`, options: { tmpdir: text } });
        writeFileSync(file, optionFile(of as never, 'shown'));
        const read = execFileSync('my_print_defaults', [`--defaults-file=${file}`, 'mariadbd'], { encoding: 'utf8' }).split('\n');
        expect(read).toContain(`--datadir=/srv/db/${folder}/data`);
        expect(read).toContain(`--tmpdir=${text}`);
      }),
      RUNS,
    );
  });
});

describe('GTIDs', () => {
  const gtid = fc.record({
    domain: fc.nat(3),
    server: fc.nat(5),
    sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  });

  test('are read as they are written', () => {
    fc.assert(
      fc.property(fc.array(gtid), (gtids) => {
        expect(parseGtids(gtidText(gtids))).toEqual(gtids);
      }),
      RUNS,
    );
    expect(parseGtids('')).toEqual([]);
    expect(parseGtids('0-1-2,\n1-1-18446744073709551615')).toHaveLength(2);
  });

  test.each(['0-1', '0-1-x', '0-1-2; DROP', '-1-1-1', '0--1'])('are refused where they are none: %s', (text) => {
    expect(() => parseGtids(text)).toThrow(expect.objectContaining({ code: 'ER0222' }));
  });

  test('of a server are missing from those of another that has not got so far, on the same server in the same domain', () => {
    const missing = (these: string, known: string) => gtidText(missingFrom(parseGtids(these), parseGtids(known)));
    expect(missing('0-1-5,0-2-9', '0-1-7,0-2-9')).toBe('');
    expect(missing('0-1-8,0-2-9', '0-1-7,0-2-9')).toBe('0-1-8');
    expect(missing('0-3-1', '0-1-7')).toBe('0-3-1');
    expect(missing('1-1-1', '0-1-7')).toBe('1-1-1');
    expect(missing('0-1-8', '')).toBe('0-1-8');
  });

  test('that are all known are missing nowhere, and one beyond them is', () => {
    fc.assert(
      fc.property(fc.array(gtid, { minLength: 1 }), gtid, (known, one) => {
        expect(missingFrom(known, known)).toEqual([]);
        const next = { ...one, sequence: 2n ** 64n };
        expect(missingFrom([...known, next], known)).toEqual([next]);
      }),
      RUNS,
    );
  });

  test('of a position are reached by what is as far in each of its domains', () => {
    const reached = (position: string, by: string) => isReached(parseGtids(position), parseGtids(by));
    expect(reached('0-1-5', '0-2-5')).toBe(true);
    expect(reached('0-1-5', '0-2-4')).toBe(false);
    expect(reached('0-1-5,1-1-1', '0-2-9')).toBe(false);
    expect(reached('', '')).toBe(true);
  });
});
