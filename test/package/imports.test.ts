import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeOf, type Import, importsOf, packageOf, reachedFrom, sourceFiles, withoutComments } from '../support/source-files.ts';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const manifest: Manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const SDKS = Object.entries(manifest.peerDependenciesMeta).flatMap(([name, { optional }]) => (optional ? [name] : []));
const DEPENDENCIES = Object.keys(manifest.dependencies);

/** The parts of the project, by what belongs to each; the first that fits. */
const PARTS = [
  ['domain', /^src\/domain\//],
  ['contracts', /^src\/contracts\.ts$/],
  ['errors', /^src\/errors\.ts$/],
  ['wire', /^src\/wire\//],
  ['testing', /^src\/testing\//],
  ['cli', /^src\/cli\//],
  ['core', /^src\//],
  ['machines', /^machines\//],
  ['adapters', /^adapters\//],
] as const;
type Part = (typeof PARTS)[number][0];

const partOf = (path: string): Part | 'elsewhere' => PARTS.find(([, pattern]) => pattern.test(path))?.[0] ?? 'elsewhere';
const filesOf = (part: Part) => sourceFiles('src', 'machines', 'adapters').filter((path) => partOf(path) === part);

/** `adapters/ssh.ts` and `adapters/ssh/…` are one adapter, so are `adapters/services/mariadb.ts` and its folder. */
const adapterOf = (path: string): string => /^adapters\/((?:services\/)?[^/.]+)/.exec(path)?.[1] ?? path;

interface Allowed {
  readonly parts: readonly Part[];
  readonly packages?: readonly string[];
  readonly builtins?: boolean;
}

function isAllowed({ target, isLocal }: Import, { parts, packages = [], builtins = false }: Allowed): boolean {
  if (isLocal) return parts.some((part) => part === partOf(target));
  const name = packageOf(target);
  return name === null ? builtins : packages.includes(name);
}

const shown = ({ from, target, isDynamic }: Import): string => `${from} ${isDynamic ? 'loads' : 'imports'} ${target}`;

const importsIn = (...parts: readonly Part[]): readonly Import[] => parts.flatMap(filesOf).flatMap((path) => importsOf(path));

/** Asserts that a part imports nothing else; a failure lists the lines that do. */
function mayImport(part: Part, allowed: Allowed): void {
  const forbidden = importsIn(part).filter((one) => !isAllowed(one, allowed));
  expect(forbidden.map(shown), `${part} may import only ${JSON.stringify(allowed)}`).toEqual([]);
}

describe('who may import whom', () => {
  test('the domain imports only itself', () => {
    mayImport('domain', { parts: ['domain'] });
  });

  test('the contracts and the errors import only the domain', () => {
    mayImport('contracts', { parts: ['domain'] });
    mayImport('errors', { parts: ['domain'] });
  });

  test('the machines import only each other, the domain and xstate', () => {
    mayImport('machines', { parts: ['machines', 'domain'], packages: ['xstate'] });
  });

  test('the core imports only the domain, the machines, the contracts, the errors, xstate and Node', () => {
    mayImport('core', { parts: ['core', 'domain', 'machines', 'contracts', 'errors'], packages: ['xstate'], builtins: true });
  });

  test('the wire imports only the domain, the errors, valibot and Node', () => {
    mayImport('wire', { parts: ['wire', 'domain', 'errors'], packages: ['valibot'], builtins: true });
  });

  test('adapters import only the domain, the contracts, the errors, Node and their SDK', () => {
    mayImport('adapters', { parts: ['adapters', 'domain', 'contracts', 'errors'], packages: SDKS, builtins: true });
  });

  test('no adapter imports another, but for what all share that speak HTTP, run programs on hosts, or are a haproxy', () => {
    const others = importsIn('adapters').filter(
      ({ from, target, isLocal }) =>
        isLocal && partOf(target) === 'adapters' && ![adapterOf(from), 'http', 'host', 'haproxy'].includes(adapterOf(target)),
    );
    expect(others.map(shown)).toEqual([]);
  });

  test('the testing part needs no adapter and no package but xstate', () => {
    const parts: readonly Part[] = ['testing', 'core', 'wire', 'machines', 'domain', 'contracts', 'errors'];
    mayImport('testing', { parts, packages: ['xstate'], builtins: true });
  });

  test('the command line imports the library, its dependencies and Node', () => {
    const parts: readonly Part[] = ['cli', 'core', 'wire', 'testing', 'machines', 'domain', 'contracts', 'errors', 'adapters'];
    mayImport('cli', { parts, packages: [...DEPENDENCIES, 'xstate'], builtins: true });
  });

  test('the command line loads adapters only when they are needed', () => {
    const early = importsIn('cli').filter(({ target, isDynamic }) => partOf(target) === 'adapters' && !isDynamic);
    expect(early.map(shown)).toEqual([]);
  });

  test('nothing but the command line imports the command line', () => {
    const parts = PARTS.map(([part]) => part).filter((part) => part !== 'cli');
    expect(
      importsIn(...parts)
        .filter(({ target }) => partOf(target) === 'cli')
        .map(shown),
    ).toEqual([]);
  });

  test('valibot is used in the command line and the wire only', () => {
    const parts = PARTS.map(([part]) => part).filter((part) => part !== 'cli' && part !== 'wire');
    expect(
      importsIn(...parts)
        .filter(({ target }) => packageOf(target) === 'valibot')
        .map(shown),
    ).toEqual([]);
  });

  test('a file that is imported is part of what is published', () => {
    const astray = importsIn(...PARTS.map(([part]) => part)).filter(
      ({ target, isLocal }) => isLocal && partOf(target) === 'elsewhere',
    );
    expect(astray.map(shown)).toEqual([]);
  });

  test.each(['src/index.ts', 'machines/index.ts'])('%s leads to no package but xstate', (entry) => {
    const others = reachedFrom(entry).filter(({ target }) => ![null, 'xstate'].includes(packageOf(target)));
    expect(others.map(shown)).toEqual([]);
  });

  test('the wire leads to no package but valibot', () => {
    const others = reachedFrom('src/wire/index.ts').filter(({ target }) => ![null, 'valibot'].includes(packageOf(target)));
    expect(others.map(shown)).toEqual([]);
  });
});

describe('what no file has', () => {
  const files = sourceFiles('src', 'machines', 'adapters');

  test('a name that says nothing', () => {
    const nameless = files.filter((path) => /^(?:utils?|helpers?|types?|common|misc)(?:\.|$)/.test(posix.basename(path)));
    const folders = files.filter((path) => /(?:^|\/)(?:utils?|helpers?|types?|common|misc)\//.test(path));
    expect([...nameless, ...folders]).toEqual([]);
  });

  test('a default export', () => {
    expect(files.filter((path) => /^export default\b|^export \{[^}]*\bas default\b/m.test(codeOf(path)))).toEqual([]);
  });

  test.each([
    ['a delay: the heartbeat is the only clock', /\bafter\s*:/],
    ['a timer', /\bset(?:Timeout|Interval|Immediate)\b/],
    ['a clock of its own', /\bDate\.now\b|\bnew Date\b|\bperformance\.now\b/],
    ['chance', /\bMath\.random\b|\brandomUUID\b/],
    ['a parent', /\bsendParent\b|\b_parent\b/],
    ['a look at the system', /\bsystem\s*\??\.\s*get\b/],
  ])('in machines: %s', (_, banned) => {
    const found = sourceFiles('machines').flatMap((path) =>
      codeOf(path)
        .split('\n')
        .filter((line) => banned.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });
});

describe('the reader of import lines', () => {
  const targets = (code: string) => importsOf('src/wire/index.ts', withoutComments(code)).map(({ target }) => target);

  test('sees every form', () => {
    const code = [
      "import 'side-effect';",
      "import { a } from './a.ts';",
      "import type { B } from '../domain/b.ts';",
      "import c, {\n  d,\n} from '@scope/c/d';",
      "import * as e from 'node:e';",
      "export { f } from './f.ts';",
      "export * from './g.ts';",
      "export const h = () => import('./h.ts');",
      "type I = import('i').I;",
    ];
    expect(targets(code.join('\n')).sort()).toEqual(
      [
        'side-effect',
        'src/wire/a.ts',
        'src/domain/b.ts',
        '@scope/c/d',
        'node:e',
        'src/wire/f.ts',
        'src/wire/g.ts',
        'src/wire/h.ts',
        'i',
      ].sort(),
    );
  });

  test('does not mind comments', () => {
    expect(targets("/**\n * import { a } from 'a';\n * await import('b');\n */\n// import 'c';\n")).toEqual([]);
  });

  test('finds the files of the project', () => {
    expect(sourceFiles('src')).toContain('src/domain/identity.ts');
    expect(importsOf('src/errors.ts').map(({ target }) => target)).toEqual(['src/domain/codes.ts', 'src/domain/printable.ts']);
  });
});
