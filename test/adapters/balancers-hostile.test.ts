import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { keepalived } from 'fleetbeat/adapters/services/keepalived';
import { mysqlProxy, secret } from 'fleetbeat/adapters/services/mysql-proxy';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AnyServiceKind, Neighbours, Shell } from '../../src/contracts.ts';
import { asToken, type Ip, isName, parseIp } from '../../src/domain/identity.ts';
import { ROLES, type Service } from '../../src/domain/service.ts';
import { isFleetError } from '../../src/errors.ts';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import { serverFolder } from '../support/run-folder.ts';
import { requires } from '../support/servers.ts';

const BAIT = 'bait';
const kinds = [haproxy(), mysqlProxy(), keepalived()] as const;

/** What a shell, a configuration file or a log would take for something else. */
const hostile = fc.oneof(
  fc.constantFrom(
    `$(touch ${BAIT})`,
    `\`touch ${BAIT}\``,
    `; touch ${BAIT};`,
    `'; touch ${BAIT}; '`,
    `"; touch ${BAIT}; "`,
    `x\n    bind :22`,
    `x }\nglobal_defs { script_user root }`,
    `%[env(HOME)]`,
    `\${HOME}`,
    '$HOME',
    '-f/etc/passwd',
    '../../etc',
    '# x',
    'a b',
    'x\\',
    '\u2028',
    '*',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('a', '0', '.', '-', '_', '/', '$', '`', '"', "'", '\\', '\n', ' ', ';', '{', '}'),
    maxLength: 20,
  }),
);
const hostileDirectory = hostile.map((text) => `/var/lib/fleetbeat/${text}`);
const anything = fc.oneof(hostile, fc.integer(), fc.constant(null), fc.array(hostile, { maxLength: 3 }), fc.boolean());

const SOUND: ReadonlyMap<string, object> = new Map<string, object>([
  ['haproxy', {}],
  ['mysql-proxy', { monitor: { password: secret('never to be seen') } }],
  ['keepalived', { addresses: ['10.0.0.100/24'] }],
]);
const FIELDS = ['writes', 'addresses', 'stats', 'checkUser', 'checkMs', 'dataDir', 'user', 'group', 'binary', 'memcache'];
const OTHER_FIELDS = ['addresses', 'interface', 'routerId', 'priority', 'advertMs', 'preempt', 'dataDir', 'binary'];

/** Settings with one field at most that somebody else has chosen. */
const settings = fc.constantFrom(...kinds).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    raw: fc
      .tuple(
        fc.constantFrom(...(kind.mode === 'keepalived' ? OTHER_FIELDS : FIELDS)),
        fc.oneof({ weight: 2, arbitrary: anything }, hostileDirectory, fc.constant(undefined)),
      )
      .map(([field, value]) => ({ ...SOUND.get(kind.mode), [field]: value })),
  }),
);

/** What anyone may choose. */
const sound = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/).filter(isName);

const others = fc.array(
  fc.record({
    name: fc.oneof(sound, hostile),
    mode: fc.constantFrom('mariadb', 'mysql', 'memcache', 'haproxy', 'keepalived', hostileMode()),
    status: fc.constantFrom(...ROLES),
    port: fc.oneof(fc.integer({ min: 1, max: 65_535 }), anything),
    dataDir: fc.oneof(hostileDirectory, fc.constant(null)),
  }),
  { maxLength: 3 },
);

function hostileMode(): string {
  return 'mariadb\n';
}

const serviceIn = (name: string, mode: string, of: Partial<Service>): Service => ({
  name,
  ip: parseIp('10.0.0.1') as Ip,
  mode,
  status: 'standalone',
  cluster: 'shop',
  settings: {},
  ...of,
});

/** Every word that these files may have: of our own, of digits, of addresses, and names as services have them. */
const LINE = /^(?:#.*|[ ]*[A-Za-z0-9._*:[\]/@={}\- ]*(?:"(?:version\\r\\n|[A-Za-z0-9._/-]+)")?)$/;

describe('names and settings that somebody else has chosen', () => {
  test(
    'are refused, or reach a configuration file as nothing but what they are',
    () => {
      let written = 0;
      fc.assert(
        fc.property(fc.oneof(sound, hostile), settings, others, (name, { kind, raw }, neighbours) => {
          const text = fileOf(name, kind, raw, neighbours);
          if (text === null) return;
          written++;
          for (const line of text.split('\n')) expect(line).toMatch(LINE);
          expect(text).not.toContain(BAIT);
          expect(text).not.toContain('never to be seen');
        }),
        { numRuns: 2000 },
      );
      expect(written).toBeGreaterThan(100);
    },
    PATIENCE_MS,
  );

  function fileOf(
    name: string,
    kind: AnyServiceKind,
    raw: object,
    neighbours: readonly { name: string; mode: string; status: Service['status']; port: unknown; dataDir: unknown }[],
  ): string | null {
    try {
      const of = serviceIn(name, kind.mode, { settings: kind.settings(raw) }) as Service<never>;
      const around = neighbours.map(({ name: other, mode, status, port, dataDir }) =>
        serviceIn(other, mode, { status, settings: { port, dataDir } }),
      );
      const among: Neighbours = { view: () => undefined, services: () => [of, ...around] };
      return kind.configFile?.(of, among).text ?? null;
    } catch (error) {
      if (!isFleetError(error)) throw error;
      expect(error.message).not.toContain('never to be seen');
      return null;
    }
  }
});

requires('haproxy')('directories and names that somebody else has chosen', () => {
  let folder: string;
  let home: string;

  beforeAll(() => {
    folder = serverFolder('hostile');
    home = serverFolder('home');
  });

  /** Commands on this machine, in an empty folder. */
  const shell: Shell = {
    reachable: async () => 'up',
    put: async () => {},
    run: (_, argv, { stdin = '' }) =>
      new Promise((resolve, reject) => {
        const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: home });
        let [stdout, stderr] = ['', ''];
        child.stdout.on('data', (bytes) => (stdout += bytes));
        child.stderr.on('data', (bytes) => (stderr += bytes));
        child.on('error', reject);
        child.on('close', (exit) => resolve({ exit: exit ?? 255, stdout, stderr }));
        child.stdin.on('error', () => {});
        child.stdin.end(stdin);
      }),
  };
  const never = new AbortController().signal;
  const permit = { token: asToken('t'), fence: 1, valid: () => true };
  const kind = haproxy();

  test(
    'are read by no shell: what is there is a haproxy in exactly that directory',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostile, async (text) => {
          const raw = { dataDir: join(folder, `x${text.replaceAll('/', '')}`) };
          let of: Service<never>;
          try {
            of = serviceIn('lb1', 'haproxy', { settings: kind.settings(raw) }) as Service<never>;
          } catch (error) {
            if (isFleetError(error)) return;
            throw error;
          }
          const among: Neighbours = { view: () => undefined, services: () => [of] };
          await kind.steps.installed?.(of, shell, permit, never, among);
          expect(await kind.probe(of, shell, never, among)).toMatchObject({ code: 'ER0023', holds: { installed: true } });
          expect(readdirSync(folder)).toEqual([raw.dataDir.slice(folder.length + 1)]);
          await kind.steps.remove?.(of, shell, permit, never, among);
          expect(readdirSync(folder)).toEqual([]);
          expect(readdirSync(home)).toEqual([]);
        }),
        { numRuns: isThorough ? 300 : 25 },
      );
    },
    PATIENCE_MS,
  );

  test(
    'leave haproxy a configuration that it finds sound, whatever services are called that may be configured',
    async () => {
      const file = join(serverFolder('written'), 'haproxy.cfg');
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(sound, { minLength: 1, maxLength: 5 }),
          fc.constantFrom('haproxy', 'mysql-proxy'),
          async (names, mode) => {
            const balancer = kinds.find((one) => one.mode === mode) ?? kind;
            const of = serviceIn('lb1', mode, { settings: balancer.settings(SOUND.get(mode)) }) as Service<never>;
            const databases = names.map((one, i) =>
              serviceIn(one, 'mariadb', { status: i === 0 ? 'master' : 'slave', settings: { port: 3306 + i } }),
            );
            const text = balancer.configFile?.(of, { view: () => undefined, services: () => [of, ...databases] }).text ?? '';
            writeFileSync(file, text);
            const { stderr } = await promisify(execFile)('haproxy', ['-C', home, '-c', '-f', file]);
            expect(stderr).not.toContain('ALERT');
            for (const one of names) expect(text).toContain(`server ${one} `);
          },
        ),
        { numRuns: isThorough ? 200 : 15 },
      );
      expect(existsSync(join(home, BAIT))).toBe(false);
    },
    PATIENCE_MS,
  );
});
