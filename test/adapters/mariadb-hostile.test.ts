import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { type Mariadb, repoint, secret } from 'fleetbeat/adapters/services/mariadb';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import { look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

const never = new AbortController().signal;

/** Printable texts in which a shell, SQL, an option file or an argv would find something to do. */
const hostile = (maxLength: number) =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          `'`,
          `"`,
          '\\',
          '`',
          '$(touch bait)',
          ';touch bait;',
          '%',
          '#',
          '--',
          ' ',
          '*',
          '~',
          "'; DROP USER x; -- ",
          '|',
          '&',
          '>',
          '\u{1f600}',
          'é',
        ),
        fc.string({ maxLength: 3 }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((parts) => Array.from(parts.join('')).slice(0, maxLength).join(''))
    .filter((text) => text.trim() !== '' && text.length <= maxLength && !/\p{Cc}/u.test(text));

const isAscii = (text: string): boolean => /^[ -~]+$/.test(text);

/** What is found anywhere by chance says nothing. */
const isTelling = (text: string): boolean => text.length >= 6;

requires('mariadbd')('a mariadb with hostile words', () => {
  let stage: MariadbStage;
  let spied: string;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1), loopback(2)]);
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  const program = (name: string, lines: string): string => {
    const path = join(stage.folder, name);
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, 0o755);
    return path;
  };

  /** The client, having written down what everyone on its host can see of it. */
  const spyingClient = (): string => {
    spied = join(stage.folder, 'spied');
    writeFileSync(spied, '');
    return program('spying', `tr '\\0' '\\n' </proc/$$/cmdline >>'${spied}'\nexec mariadb "$@"`);
  };

  /** All that can be read where nobody should read a password. */
  const writtenBy = (...names: readonly string[]): string =>
    [spied, ...names.flatMap((name) => ['my.cnf', 'error.log', 'run/general.log'].map((file) => join(stage.folder, name, file)))]
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');

  test(
    'keeps passwords from argvs, logs and errors, and takes them as they are',
    async () => {
      const binaries = { client: spyingClient() };
      const echoing = program('echoing', 'cat >&2; exit 1');
      const logging = { performance_schema: false, innodb_log_file_size: 4_194_304, general_log: true };
      const optionsOf = (name: string) => ({ ...logging, general_log_file: join(stage.folder, name, 'run', 'general.log') });
      const master = await stage.service('db1', 0, 'master', { binaries, options: optionsOf('db1') });
      const replica = await stage.service('db2', 1, 'slave', { binaries, options: optionsOf('db2') });
      stage.installed(master, replica);
      const settled = stage.driver(master, replica);
      expect(await perform(settled, ['db1', 'start'], ['db1', 'sync'], ['db2', 'start'])).toEqual([null, null, null]);
      expect(await perform(settled, ['db2', 'sync'])).toEqual([null]);

      await fc.assert(
        fc.asyncProperty(hostile(200), hostile(32).filter(isAscii), async (monitor, replication) => {
          const settings = (of: { readonly settings: unknown }) => ({
            ...(of.settings as object),
            monitor: { user: 'fleetbeat_monitor', password: secret(monitor) },
            replication: { user: 'fleetbeat_replica', password: secret(replication) },
          });
          const services = [master, replica].map((of) => ({ ...of, settings: settings(of) }));
          const driver = stage.driver(...services);
          expect(await perform(driver, ['db1', 'start'], ['db2', 'start'])).toEqual([null, null]);
          const [first, second] = services as unknown as readonly [Mariadb, Mariadb];
          await repoint(second, first, stage.shell, never);
          await expect.poll(() => look(driver, 'db2')).toMatchObject({ code: '000000', holds: { replicating: true } });

          const refused: Mariadb = {
            ...second,
            settings: {
              ...second.settings,
              replication: { user: 'fleetbeat_replica', password: secret('of its own') },
              binaries: { ...second.settings.binaries, client: echoing },
            },
          };
          const error: unknown = await repoint(refused, first, stage.shell, never).catch((one: unknown) => one);
          const seen = [writtenBy('db1', 'db2'), inspect(error)];
          expect(seen[1]).toContain('MASTER_PASSWORD');
          for (const password of [monitor, replication].filter(isTelling)) expect(seen.join('\n')).not.toContain(password);
        }),
        { numRuns: isThorough ? 40 : 2, endOnFailure: true },
      );
      expect(stage.hosts.flatMap(({ home }) => readdirSync(home))).not.toContain('bait');
    },
    PATIENCE_MS,
  );

  test(
    'has its paths read by no shell, and its names by no SQL',
    async () => {
      const path = hostile(20).filter((text) => !/[/:]/.test(text) && text.trim() === text && !['.', '..'].includes(text));
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(path, async (odd) => {
          const parent = join(stage.folder, `odd-${++runs}`);
          mkdirSync(parent);
          const service = await stage.service('db1', 0, 'master', { dataDir: join(parent, odd) });
          const driver = stage.driver(service);
          stage.installed(service);
          expect(await perform(driver, ['db1', 'install'], ['db1', 'start'], ['db1', 'sync'])).toEqual([null, null, null]);
          expect(await look(driver, 'db1')).toMatchObject({ code: '000000', holds: { replicating: true } });
          expect((await perform(driver, ['db1', 'remove'], ['db1', 'remove']))[1]).toBeNull();
          expect(readdirSync(parent)).toEqual([]);
        }),
        { numRuns: isThorough ? 20 : 1, endOnFailure: true },
      );
      expect(stage.hosts.flatMap(({ home }) => readdirSync(home))).not.toContain('bait');
    },
    PATIENCE_MS,
  );
});
