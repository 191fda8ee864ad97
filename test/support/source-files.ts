import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** One import line. `target` is a path from the project's root, or a package's or builtin's specifier. */
export interface Import {
  readonly from: string;
  readonly target: string;
  readonly isLocal: boolean;
  /** `import()`: loaded only when it is reached. */
  readonly isDynamic: boolean;
}

const STATIC = /^(?:import|export)\s[^;'"=()]*?from\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"`]([^'"`]+)['"`]/g;

/** The TypeScript files of some top folders, by paths from the project's root; a folder that is not there has none. */
export const sourceFiles = (...folders: readonly string[]): readonly string[] =>
  folders
    .filter((folder) => existsSync(ROOT + folder))
    .flatMap((folder) =>
      readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' }).map((name) => posix.join(folder, name)),
    )
    .filter((path) => path.endsWith('.ts'))
    .sort();

/** The text of a file without its comments: a rule about code must not mind prose. */
export const codeOf = (path: string): string => withoutComments(readFileSync(ROOT + path, 'utf8'));

export const withoutComments = (text: string): string =>
  text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/(?<!:)\/\/.*$/gm, '');

/** What a file imports, types included: they bind as much as values do. */
export function importsOf(path: string, code = codeOf(path)): readonly Import[] {
  const found = (pattern: RegExp, isDynamic: boolean) =>
    [...code.matchAll(pattern)].map(([, first, second]): Import => {
      const specifier = first ?? second ?? '';
      const isLocal = specifier.startsWith('.');
      return { from: path, target: isLocal ? posix.join(posix.dirname(path), specifier) : specifier, isLocal, isDynamic };
    });
  return [...found(STATIC, false), ...found(DYNAMIC, true)];
}

/** The imports of packages and builtins in all files that `entry` leads to; none where there is no such file. */
export function reachedFrom(entry: string): readonly Import[] {
  const paths = new Set([entry]);
  const reached: Import[] = [];
  for (const path of paths) {
    if (!existsSync(ROOT + path)) continue;
    for (const one of importsOf(path)) {
      if (one.isLocal) paths.add(one.target);
      else reached.push(one);
    }
  }
  return reached;
}

/** `@scope/name` or `name`; null for a builtin of Node. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('node:')) return null;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
