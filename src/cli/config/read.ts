import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { printable } from '../../domain/printable.ts';
import { messageOf } from '../../errors.ts';
import { DEFAULT_LIMITS } from '../../wire/index.ts';
import type { Path } from '../../wire/refusal.ts';
import { positionOf, scan } from '../../wire/scan.ts';
import { type Configuration, check } from './check.ts';
import { configurationError, type Origin } from './mistake.ts';

/** What a file says, before it is checked, and where in it something stands. */
interface Said {
  readonly value: unknown;
  readonly placeOf?: (path: Path) => string | null;
}

/**
 * Reads and checks a configuration file.
 *
 * @throws FleetError ER0230 with the file, the path in it (the line and column in JSON and YAML), what was found, what is allowed
 */
export async function readConfiguration(file: string): Promise<Configuration> {
  const origin: Origin = { file };
  const { value, ...place } = await readerOf(origin)(origin);
  return check(value, { ...origin, ...place });
}

function readerOf(origin: Origin): (origin: Origin) => Promise<Said> {
  switch (extname(origin.file)) {
    case '.json':
      return readJson;
    case '.yaml':
    case '.yml':
      return readYaml;
    case '.js':
    case '.mjs':
      return readModule;
    default:
      throw refusal(origin, `a file that ends in ${extname(origin.file) || 'nothing'}`, '.js, .mjs, .json, .yaml or .yml');
  }
}

const refusal = (origin: Origin, found: string, allowed: string, cause?: unknown) =>
  configurationError(origin, { path: [], found, allowed }, cause);

async function textOf(origin: Origin): Promise<string> {
  try {
    const { size } = await stat(origin.file);
    if (size > DEFAULT_LIMITS.maxBytes) throw refusal(origin, `${size} bytes`, `at most ${DEFAULT_LIMITS.maxBytes} bytes`);
    return await readFile(origin.file, 'utf8');
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw refusal(origin, error.code ?? 'no file', 'a file that can be read', error);
  }
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error;

async function readJson(origin: Origin): Promise<Said> {
  const text = (await textOf(origin)).replace(/^\uFEFF/, '');
  const flaw = scan(text, DEFAULT_LIMITS);
  if (flaw === null) return { value: JSON.parse(text) };
  const { line, column } = positionOf(text, flaw.offset);
  throw configurationError({ ...origin, placeOf: () => placeText(line, column) }, { path: [], ...flaw });
}

async function readYaml(origin: Origin): Promise<Said> {
  const [{ LineCounter, isNode, parseDocument }, text] = await Promise.all([import('yaml'), textOf(origin)]);
  const lineCounter = new LineCounter();
  const placeAt = (offset: number | undefined): string | null => {
    if (offset === undefined) return null;
    const { line, col } = lineCounter.linePos(offset);
    return placeText(line, col);
  };
  const document = parseDocument(text, { lineCounter, prettyErrors: false, strict: true, uniqueKeys: true, stringKeys: true });
  const [flaw] = document.errors;
  if (flaw) {
    const found = `what is no YAML (${printable(flaw.message)})`;
    throw configurationError({ ...origin, placeOf: () => placeAt(flaw.pos[0]) }, { path: [], found, allowed: 'YAML 1.2' });
  }
  const placeOf = (path: Path): string | null => {
    const node = document.getIn(path, true);
    return isNode(node) ? placeAt(node.range?.[0]) : null;
  };
  return { value: plainYaml(document, origin), placeOf };
}

function plainYaml(document: { toJS(options: { maxAliasCount: number }): unknown }, origin: Origin): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw refusal(
      origin,
      `aliases that cannot be followed (${printable(messageOf(error))})`,
      'at most 100 uses of an anchor',
      error,
    );
  }
}

const placeText = (line: number, column: number): string => `line ${line}, column ${column}`;

async function readModule(origin: Origin): Promise<Said> {
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(origin.file).href);
    const { default: said } = module;
    return { value: typeof said === 'function' ? await said() : await said };
  } catch (error) {
    throw refusal(
      origin,
      `a module that fails (${printable(messageOf(error))})`,
      'a default export: an object, or a function that returns it',
      error,
    );
  }
}
