import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const entries = Object.keys(manifest.exports)
  .filter((entry) => !entry.endsWith('.json'))
  .map((entry) => entry.replace('.', 'fleetbeat'));

describe('the packed package', () => {
  let consumer: string;

  beforeAll(async () => {
    consumer = mkdtempSync(join(tmpdir(), 'fleetbeat-consumer-'));
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], { cwd: ROOT });
    await run('tar', ['-xzf', join(consumer, JSON.parse(stdout)[0].filename), '-C', consumer]);
    mkdirSync(join(consumer, 'node_modules/@types'), { recursive: true });
    cpSync(join(consumer, 'package'), join(consumer, 'node_modules/fleetbeat'), { recursive: true });
    const needed = [
      ...Object.keys(manifest.dependencies),
      ...Object.keys(manifest.peerDependencies),
      ...['node', 'memjs', 'ssh2'].map((name) => `@types/${name}`),
    ];
    for (const name of needed) {
      mkdirSync(dirname(join(consumer, 'node_modules', name)), { recursive: true });
      symlinkSync(join(ROOT, 'node_modules', name), join(consumer, 'node_modules', name));
    }
    writeFileSync(join(consumer, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => rmSync(consumer, { recursive: true, force: true }));

  test('holds what a user needs, and no test, source map target or lock file', () => {
    expect(readdirSync(join(consumer, 'package')).sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'machines', 'package.json'].sort(),
    );
    expect(readdirSync(join(consumer, 'package/dist')).sort()).toEqual(['adapters', 'chunks', 'machines', 'src']);
  });

  test.each(entries)('%s is there under its name', async (entry) => {
    const { stdout } = await run(
      process.execPath,
      ['-e', `import(${JSON.stringify(entry)}).then((m) => console.log(Object.keys(m).length))`],
      {
        cwd: consumer,
      },
    );
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test.each([
    ['exactOptionalPropertyTypes', { exactOptionalPropertyTypes: true, skipLibCheck: true }],
    ['skipLibCheck: false', { exactOptionalPropertyTypes: false, skipLibCheck: false }],
  ])('type-checks for a consumer with %s', async (_, flags) => {
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2023',
      module: 'nodenext',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      ...flags,
    };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    writeFileSync(join(consumer, 'consumer.ts'), CONSUMER);
    await expect(run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', consumer])).resolves.toMatchObject({
      stdout: '',
    });
  });

  test('its programs run', async () => {
    for (const bin of Object.values(manifest.bin) as string[]) {
      const { stdout } = await run(process.execPath, [join(consumer, 'node_modules/fleetbeat', bin), '--version']);
      expect(stdout.trim()).toBe(manifest.version);
    }
  });
});

const CONSUMER = `
import { createFleet, defineServiceKind, isFleetError, type Fleet } from 'fleetbeat';
import { instanceMachine } from 'fleetbeat/machines';
import { read, toCommand } from 'fleetbeat/wire';
import { driverContract, simulatedFleet, storeContract } from 'fleetbeat/testing';
import { local } from 'fleetbeat/adapters/local';
import { memcached } from 'fleetbeat/adapters/memcached';
import { memory } from 'fleetbeat/adapters/memory';
import { ssh } from 'fleetbeat/adapters/ssh';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { createActor, fromPromise } from 'xstate';

const kind = defineServiceKind<{ port: number }>({
  mode: 'mine',
  host: 'ssh-up',
  ladder: ['installed', 'up'],
  settings: () => ({ port: 1 }),
  probe: async (of) => ({ name: of.name, readAt: 0 as never, code: '000000', holds: { up: of.settings.port > 0 } }),
  steps: {},
});
export const fleet: Fleet = createFleet({ store: memory(), kinds: [kind, memcache()], drivers: { instances: [local({ instances: [] })] } });
export const actor = createActor(
  instanceMachine.provide({ actors: { perform: fromPromise<{ acceptedAt: never }>(async () => { throw new Error(); }) } }),
  { input: { key: 'instances/x/y' as never } },
);
export const isOurs: boolean = isFleetError(new Error());
export const rest = [read, toCommand, driverContract, simulatedFleet, storeContract, memcached, ssh];
`;

test('every public export is used by its package name in a test or an example', async () => {
  const texts = ['test', 'examples', 'bench']
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(ROOT, folder, file)),
    )
    .filter((file) => file.endsWith('.ts') || file.endsWith('.js'))
    .map((file) => readFileSync(file, 'utf8'));
  const used = new Map<string, Set<string>>();
  for (const text of texts)
    for (const [, names = '', from = ''] of text.matchAll(/import \{([^}]*)\} from '(fleetbeat[^']*)'/g)) {
      const known = used.get(from) ?? new Set();
      for (const name of names.split(','))
        known.add(
          name
            .trim()
            .replace(/^type /, '')
            .replace(/ as .*/, ''),
        );
      used.set(from, known);
    }
  const unused: string[] = [];
  for (const entry of entries)
    for (const name of Object.keys(await import(entry))) if (!used.get(entry)?.has(name)) unused.push(`${name} of ${entry}`);
  expect(unused).toEqual([]);
});
