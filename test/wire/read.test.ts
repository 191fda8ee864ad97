import fc from 'fast-check';
import { read, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { scan } from '../../src/wire/scan.ts';

const service = (name: string, more: object = {}) => ({
  [name]: { name, ip: '10.0.0.1', mode: 'mariadb', status: 'master', state: 'running', code: '000000', ...more },
});
const instance = (id: string, more: object = {}) => ({ [id]: { id, ip: null, state: 'stopped', ...more } });
const services = (...entries: object[]) => JSON.stringify({ services: entries });
const instances = (...entries: object[]) => JSON.stringify({ instances: entries });

describe('a text that is not JSON', () => {
  test.each([
    ['', 'line 1, column 1: found the end of the text, allowed: a value'],
    ['{"services":[', 'line 1, column 14: found the end of the text, allowed: a value or "]"'],
    ['{"a":1,}', 'line 1, column 8: found "}", allowed: a name in double quotes'],
    ['[1,]', 'line 1, column 4: found "]", allowed: a value'],
    ['{\r\n"a" 1}', 'line 2, column 5: found "1", allowed: ":"'],
    ['{}\n\n x', 'line 3, column 2: found "x", allowed: the end of the text'],
    ['{"a":01}', 'line 1, column 7: found "1", allowed: "," or "}"'],
    ["{'a':1}", 'line 1, column 2: found "\'", allowed: a name in double quotes or "}"'],
    ['["\u001b[31m"]', 'line 1, column 3: found "\\u001b", allowed: the closing quote'],
    ['["\\x41"]', 'line 1, column 3: found "\\\\", allowed: an escape that JSON knows'],
    ['[NaN]', 'line 1, column 2: found "N", allowed: a value or "]"'],
    ['{"a":1,"\\u0061":2}', 'line 1, column 8: found a name for the second time, allowed: each name once in an object'],
  ])('%j is refused at its place', (text, message) => {
    expect(() => read(text)).toThrow(`Malformed input: document at ${message}`);
  });

  test('bytes that are not UTF-8 are refused at the first of them, after replacement characters that are meant', () => {
    const bytes = Buffer.concat([Buffer.from('\uFEFF{"a":\n"\uFFFDé'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(() => read(bytes)).toThrow('line 2, column 4: found the byte 0xff, allowed: text in UTF-8');
  });

  test('a byte order mark is no part of a text', () => {
    expect(read(Buffer.from('\uFEFF{"events":[]}'))).toEqual({ kind: 'events', body: { events: [] } });
  });

  test('a flaw is seen exactly where JSON.parse throws', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b\\n"',
      '"',
      '\\',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'nul',
      ' ',
      '\n',
      '\u0001',
    );
    const json = fc.json();
    const cut = fc.tuple(json, fc.nat(), fc.nat(), fc.string({ maxLength: 2 })).map(([text, at, length, put]) => {
      const from = at % (text.length + 1);
      return text.slice(0, from) + put + text.slice(from + (length % 3));
    });
    const texts = fc.oneof(
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
      json,
      cut,
    );
    fc.assert(
      fc.property(texts, (text) => {
        const flaw = scan(text, { maxDepth: 1000, maxNames: 1000 });
        if (flaw?.found.startsWith('a name')) return;
        const parses = () => JSON.parse(text);
        if (flaw === null) expect(parses).not.toThrow();
        else expect(parses).toThrow(SyntaxError);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('what is too large', () => {
  test('is refused by its bytes, not its characters', () => {
    expect(() => read('{"events":[],"é":1}', { maxBytes: 19 })).toThrow(
      'Input too large: document at its root: found 20 bytes, allowed: at most 19 bytes',
    );
    expect(read('{"events":[],"é":1}', { maxBytes: 20 }).kind).toBe('events');
  });

  test('is refused beyond 8 MiB unless said otherwise', () => {
    const text = `{"events":[],"x":"${'x'.repeat(8 * 1024 * 1024)}"}`;
    expect(() => read(text)).toThrow('at most 8388608 bytes');
    expect(read(text, { maxBytes: 9 * 1024 * 1024 }).kind).toBe('events');
  });

  test('is refused by its depth before it is parsed', () => {
    expect(() => read('['.repeat(4_000_000))).toThrow('line 1, column 33: found level 33, allowed: at most 32 levels');
  });

  test('is refused by the names of one object before it is parsed', () => {
    expect(() => read('{"a":1,"b":2,"c":3}', { maxNames: 2 })).toThrow(
      'line 1, column 14: found name 3 of an object, allowed: at most 2',
    );
  });

  test('is refused by the entries of all lists together', () => {
    const two = JSON.stringify({
      instances_status: { instances: [instance('a')] },
      services_status: { services: [service('b')] },
    });
    expect(read(two, { maxEntities: 2 }).kind).toBe('heartbeat');
    expect(() => read(two, { maxEntities: 1 })).toThrow('services_status.services: found 2 entries, allowed: at most 1');
  });
});

describe('names that mean something to JavaScript', () => {
  test.each(['__proto__', 'constructor', 'prototype'])('%s is refused as a key anywhere', (key) => {
    const entry = `{"${key}":{"id":"${key}","ip":null,"state":"stopped"}}`;
    expect(() => read(`{"instances":[${entry}]}`)).toThrow(`instances[0]: found the name "${key}"`);
    expect(() => read(`{"events":[],"x":[{"y":{"${key}":1}}]}`)).toThrow(`x[0].y: found the name "${key}"`);
    expect(() => read(`{"events":[],"password":{"${key}":1}}`)).toThrow(`found the name "${key}"`);
    const escaped = `\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}`;
    expect(() => read(`{"events":[],"${escaped}":1}`)).toThrow(`its root: found the name "${key}"`);
  });

  test.each(['__proto__', 'constructor', 'prototype'])('%s is refused as the name of a service in a command', (group) => {
    const text = JSON.stringify({ level: 'services', command: { action: 'start', group } });
    expect(() => read(text)).toThrow(`command.group: found "${group}"`);
  });
});

describe('a document of the wrong shape is refused with its path', () => {
  test.each([
    ['[]', 'document at its root: found a list of 0, allowed: an object'],
    ['{"level":"services"}', 'found none of the fields that tell its kind'],
    ['{"events":[],"actions":[]}', 'found events and actions, allowed: one of'],
    [
      '{"level":"services","command":{"group":"all"}}',
      'command at command.action: found nothing, allowed: a value: the field is required',
    ],
    ['{"level":"services","command":[]}', 'command at command: found a list of 0, allowed: an object'],
    ['{"level":"services","command":{"action":"start","group":"a b"}}', 'command.group: found "a b"'],
    [services(service('n', { code: 3 })), 'services[0].n.code: found 3, allowed: a code of six characters'],
    [
      services(service('n', { status: 'king' })),
      'services[0].n.status: found "king", allowed: master, slave, standalone, discard, na',
    ],
    [services(service('n', { ip: '10.0.0.256' })), 'services[0].n.ip: found "10.0.0.256", allowed: an IPv4 or IPv6 address'],
    [services(service('n', { name: 'm' })), 'services[0].n: found "m", allowed: a row that calls itself as its key does'],
    [
      services(service('n', { code: 'ER0023', state: 'stopped', rung: 'up' })),
      'services[0].n.rung: found "up", allowed: no rung above installed',
    ],
    [services({ ...service('n'), ...service('m') }), 'services[0]: found an object, allowed: an object of one key'],
    [services(service('n'), service('n')), 'services[1]: found "n", allowed: each entity once'],
    [instances(instance('i', { state: 'ACTIVE' })), 'instances[0].i.state: found "ACTIVE", allowed: pending, running, stopping'],
    [
      instances(instance('i', { rung: 'managed' })),
      'instances[0].i.rung: found "managed", allowed: a rung of a running instance only',
    ],
    [instances(instance('a b')), 'instances[0]["a b"].id: found "a b"'],
    [instances(instance('i'), instance('i')), 'instances[1]: found "i", allowed: each entity once'],
    ['{"services_status":{"services":[]},"seq":1}', 'heartbeat at seq: found 1, allowed: epoch and seq together'],
    [
      '{"services_status":{"services":[]},"at":"2024-02-30 10:00"}',
      'heartbeat at at: found "2024-02-30 10:00", allowed: an ISO 8601 time in UTC',
    ],
    ['{"services_status":{"services":[]},"version":"2.0"}', 'heartbeat at version: found "2.0", allowed: a version 1.x'],
    ['{"services_status":{"services":[]},"host":{"interfaces":[{"lo":{"IP":"no"}}]}}', 'host.interfaces[0].lo.IP: found "no"'],
    ['{"events":[],"x":1e999}', 'found a number without bounds'],
    ['{"events":[],"x":9007199254740993}', 'found an integer beyond 2^53'],
  ])('%s', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('what is shown is short and safe for a terminal', () => {
    const shown = (mode: string): string => {
      try {
        read(services(service('n', { mode })));
        return '';
      } catch (error) {
        return String(error);
      }
    };
    expect(shown('\u001b[2J\u202eevil\u0000')).toContain('found "\\u001b[2J\\u202eevil\\u0000"');
    expect(shown('x'.repeat(100_000)).length).toBeLessThan(300);
  });

  test('a document of another kind than wanted is refused', () => {
    expect(() => read('{"events":[]}', { kind: 'heartbeat' })).toThrow('found the kind events, allowed: the kind heartbeat');
  });
});

describe('what is kept', () => {
  test('one id in two clouds is two instances', () => {
    const text = instances(instance('i', { cloud: 'east' }), instance('i', { cloud: 'west' }));
    expect(write(read(text))).toBe(text);
  });

  test('fields, words and codes that we do not know, in their order', () => {
    const text = JSON.stringify({
      extra: [{ deep: { n: 1.5 } }],
      services: [service('n', { cluster: 'shop', code: 'XX9999', state: 'whatever it says' })],
      console: [],
    });
    expect(write(read(text))).toBe(text);
  });

  test('a service may be called like a secret, or like a method', () => {
    const text = services(service('token'), service('password'), service('toString'), service('hasOwnProperty'));
    expect(write(read(text))).toBe(text);
  });
});
