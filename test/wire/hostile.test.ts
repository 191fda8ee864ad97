import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { fromActions, fromViews, read, toCommand, toHeartbeat, toSteps, type WireDocument, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { isFleetError } from '../../src/errors.ts';
import { views } from './arbitraries.ts';

const CANARY = 'hunter2-canary';
const RUNS = 3_400;

const sample = (name: string): unknown => JSON.parse(readFileSync(new URL(`../support/seed/${name}`, import.meta.url), 'utf8'));

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** Every object and list in a value, itself first. */
function containersIn(root: object): readonly object[] {
  const found = [root];
  for (const container of found) found.push(...Object.values(container).filter(isContainer));
  return found;
}

/** Sets a field though it may be called `__proto__`; a list gets another entry. */
const put = (container: object, field: string, value: unknown): void => {
  if (Array.isArray(container)) container.push(value);
  else Object.defineProperty(container, field, { value, enumerable: true, configurable: true, writable: true });
};

const nested = (levels: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 ? [value] : { a: value };
  return value;
};

const hostileValue = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    1e308,
    2 ** 53,
    0.1,
    '',
    'On',
    'na',
    [],
    {},
    [[]],
    [{}],
    { a: 1 },
    'x'.repeat(2_000),
  ),
  fc.constantFrom('a\u0000\u001b[2J\u202e', '../../etc/passwd', '$(reboot)', '; rm -rf /', "' or 1=1", '__proto__', '\ud800'),
  fc.constantFrom(31, 33, 500).map(nested),
  fc.jsonValue({ maxDepth: 3 }),
);

const hostileField = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '', '\u001b[2J', 'x'.repeat(2_000)),
  fc.constantFrom(
    'ip',
    'id',
    'name',
    'code',
    'state',
    'return',
    'events',
    'actions',
    'command',
    'host',
    'seq',
    'at',
    'when',
    'lane',
  ),
  fc.string(),
);

type Mutation = (root: object, at: number) => void;

const containerAt = (root: object, at: number): object => {
  const all = containersIn(root);
  return all[at % all.length] ?? root;
};

const fieldAt = (container: object, at: number): string =>
  Object.keys(container)[at % Math.max(1, Object.keys(container).length)] ?? 'x';

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  hostileValue.map(
    (value): Mutation =>
      (root, at) => {
        const container = containerAt(root, at);
        put(container, fieldAt(container, at), structuredClone(value));
      },
  ),
  fc.tuple(hostileField, hostileValue).map(
    ([field, value]): Mutation =>
      (root, at) =>
        put(containerAt(root, at), field, structuredClone(value)),
  ),
  fc.constant<Mutation>((root, at) => {
    const container = containerAt(root, at);
    Reflect.deleteProperty(container, fieldAt(container, at));
  }),
  fc.constant<Mutation>((root, at) => {
    const container = containerAt(root, at);
    if (Array.isArray(container)) container.push(...structuredClone(container));
  }),
);

const secret = fc.constantFrom('password', 'db_user', 'key', 'secretAccessKey', 'token', 'credentials', 'cloud');

/** A document with a secret in it, and then some harm done to it. */
const hostileText = (valid: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  fc
    .tuple(valid, secret, fc.nat(), fc.array(fc.tuple(mutation, fc.nat()), { maxLength: 3 }), fc.option(fc.nat(), { freq: 4 }))
    .map(([document, field, at, mutations, cut]) => {
      const root = structuredClone(document);
      if (!isContainer(root)) return JSON.stringify(root);
      put(containerAt(root, at), field, field === 'cloud' ? { user: CANARY } : CANARY);
      for (const [mutate, where] of mutations) mutate(root, where);
      const text = JSON.stringify(root);
      return cut === null ? text : text.slice(0, cut % text.length);
    });

const mapped = (document: WireDocument): unknown => {
  switch (document.kind) {
    case 'command':
      return toCommand(document);
    case 'heartbeat':
      return toHeartbeat(document, { readAt: asInstant(0), arrival: 0 });
    case 'actions':
      return toSteps(document, { cloud: 'ec2' });
    default:
      return null;
  }
};

const prototypeNames = () => [Object.prototype, Array.prototype, Function.prototype].map((one) => Reflect.ownKeys(one).length);

/** Either a valid document, which reads as itself again, or a refusal that says what, where, found and allowed. */
function expectSense(text: string, lenient: boolean): void {
  const before = prototypeNames();
  try {
    const document = read(text, { lenient });
    const written = write(document);
    expect(written).not.toContain(CANARY);
    expect(write(read(written))).toBe(written);
    expect(JSON.stringify(mapped(document))).not.toContain(CANARY);
  } catch (error) {
    if (!isFleetError(error)) throw error;
    expect(error.message).toMatch(/^[\w ]+: \w+ at .+: found .+, allowed: .+$/);
    expect(error.message).not.toMatch(/\p{Cc}|\p{Cf}|\p{Cs}/u);
    expect(error.message.length).toBeLessThan(1_000);
    expect(`${error.message} ${error.cause} ${JSON.stringify(error)}`).not.toContain(CANARY);
  }
  expect(prototypeNames()).toEqual(before);
  expect(({} as Record<string, unknown>).a).toBeUndefined();
}

const host = { interfaces: [{ eth0: { IP: '10.0.0.5', STATE: 'UP' }, lo: { IP: '127.0.0.1' } }], ram: '1' };
const world = { level: 'instances', command: { action: 'world', group: 'all', type: 'all' }, host };
const META = { source: 'node1', epoch: 'e', seq: 1, at: asInstant(0), host };

describe('a hostile document is refused with what and where, or is a valid one', () => {
  test.each<[string, fc.Arbitrary<unknown>]>([
    ['commands', fc.constantFrom(sample('command.json'), world)],
    [
      'heartbeats',
      fc.oneof(
        fc.constant(sample('heartbeat.json')),
        views.map((all) => fromViews(all, META).body),
      ),
    ],
    ['actions', fc.oneof(fc.constant(sample('actions.json')), fc.constant(fromActions([]).body))],
  ])(`%s, ${RUNS} times`, (_kind, valid) => {
    fc.assert(fc.property(hostileText(valid), fc.boolean(), expectSense), { numRuns: RUNS });
  });

  test('any JSON, and any text', () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string(), fc.string({ unit: 'binary' })), fc.boolean(), expectSense), {
      numRuns: 2_000,
    });
  });

  test('any bytes', () => {
    const head = Buffer.from('{"events":[],"x":"');
    const bytes = fc.uint8Array({ maxLength: 40 }).map((tail) => Buffer.concat([head, tail, Buffer.from('"}')]));
    fc.assert(
      fc.property(bytes, (text) => {
        try {
          expect(read(text).kind).toBe('events');
        } catch (error) {
          if (!isFleetError(error)) throw error;
          expect(error.message).toMatch(/line \d+, column \d+|its root|^Malformed input: document at/);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a huge document', () => {
  test.each([
    ['open brackets', '['.repeat(8_000_000)],
    ['one text', `{"events":[],"x":"${'\\n'.repeat(4_000_000)}"}`],
    ['one number', `{"events":[],"x":0.${'1'.repeat(8_000_000)}}`],
    ['many names', `{"events":[],${Array.from({ length: 400_000 }, (_, n) => `"k${n}":{}`).join()}}`],
    ['many entries', `{"events":[${Array.from({ length: 1_000_000 }, () => '{}').join()}]}`],
    ['many lines', `{"events":[]${'\n'.repeat(8_000_000)}!`],
  ])('of %s is answered within two seconds', (_of, text) => {
    const start = performance.now();
    expectSense(text, true);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
