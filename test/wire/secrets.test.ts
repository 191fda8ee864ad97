import { readFileSync } from 'node:fs';
import { read, toHeartbeat, type WireDocument, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { messageOf } from '../../src/errors.ts';

const CANARY = 'hunter2-canary';
const sample = readFileSync(new URL('../support/seed/heartbeat.json', import.meta.url), 'utf8');

describe('secrets do not travel', () => {
  test('nothing of the cloud of the sample is in what is read, mapped or written', () => {
    const document = read(sample, { lenient: true, kind: 'heartbeat' });
    const heartbeat = toHeartbeat(document, { readAt: asInstant(0), arrival: 0 });
    const cloud: object = JSON.parse(sample).instances_status.return.cloud;
    const words = Object.values(cloud).filter((value) => String(value).length > 3 && value !== 'master');
    expect(words).toContain('AKIAIOSFODNN7EXAMPLE');
    for (const text of [JSON.stringify(document), JSON.stringify(heartbeat), write(document)]) {
      for (const word of words) expect(text).not.toContain(word);
    }
  });

  test.each([
    'password',
    'db_password',
    'PassWord',
    'passwd',
    'passphrase',
    'user',
    'username',
    'mysql_user',
    'key',
    'public_key',
    'privateKey',
    'private-key',
    'access_key_id',
    'secretAccessKey',
    'client_secret',
    'credentials',
    'token',
    'Authorization',
    'pem',
  ])('a field called %s is dropped wherever it is, in every mode', (field) => {
    const secret = { [field]: CANARY, nested: { [field]: { deep: [CANARY] } } };
    const service = { name: 'n', ip: null, mode: 'mariadb', status: 'na', state: 'running', code: '000000', ...secret };
    const text = JSON.stringify({ ...secret, services: [{ n: service }], return: { code: '000000', ...secret } });
    for (const lenient of [true, false]) {
      const document = read(text, { lenient });
      expect(JSON.stringify(document)).not.toContain(CANARY);
      expect(write(document)).toContain('"nested":{}');
    }
  });

  test('a cloud is dropped as a whole, but for its name', () => {
    const cloud = { region: CANARY };
    const text = JSON.stringify({ level: 'services', cloud, clouds: [cloud], command: { action: 'ping', group: 'all', cloud } });
    expect(write(read(text))).toBe('{"level":"services","command":{"action":"ping","group":"all"}}');
  });

  test('a document made by hand is written without them, and is not changed itself', () => {
    const extra = { password: CANARY, cloud: { region: CANARY } };
    const document: WireDocument = { kind: 'events', body: { events: [], ...{ extra } } };
    expect(write(document)).toBe('{"events":[],"extra":{}}');
    expect(extra.password).toBe(CANARY);
  });

  test('a row that is called like a secret keeps its row, and loses a text in its place', () => {
    expect(() => read(JSON.stringify({ services: [{ password: CANARY }] }))).toThrow(
      expect.toSatisfy((error) => !messageOf(error).includes(CANARY)),
    );
  });

  test.each([
    `{"events":[],"password":"${CANARY}`,
    `{"events":[],"password":"${CANARY}" x}`,
    `{"events":[],"password":${CANARY}}`,
    `{"events":[],"password":"${CANARY}\n"}`,
    `{"events":[],"password":{"${CANARY}":1e999}}`,
    `{"events":[],"password":{"${CANARY}":{"__proto__":1}}}`,
    `{"events":[],"password":{"${CANARY}":1,"${CANARY}":2}}`,
    `{"events":"x","cloud":{"user":"${CANARY}"}}`,
    `{"level":{"password":"${CANARY}"},"command":{"action":"a","group":"b"}}`,
  ])('no refusal repeats one: %s', (text) => {
    expect(() => read(text)).toThrow(expect.toSatisfy((error) => !`${error} ${JSON.stringify(error)}`.includes('hunter')));
  });
});
