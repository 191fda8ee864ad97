import { readFileSync } from 'node:fs';
import { read, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { isFleetError } from '../../src/errors.ts';

const sample = (name: string): string => readFileSync(new URL(`../support/seed/${name}`, import.meta.url), 'utf8');

const rowsOf = <Row>(entries: readonly Readonly<Record<string, Row>>[] | undefined): readonly Row[] =>
  (entries ?? []).flatMap((entry) => Object.values(entry));

describe('the samples of the seed', () => {
  const heartbeat = () => read(sample('heartbeat.json'), { lenient: true, kind: 'heartbeat' });

  test('the heartbeat has 5 instances and 12 services with their codes', () => {
    const { body } = heartbeat();
    expect(rowsOf(body.instances_status?.instances).map(({ id, ip, state }) => [id, ip, state])).toEqual([
      ['i-830dcde4', null, 'stopped'],
      ['i-7fba6203', '10.0.0.209', 'stopped'],
      ['i-987388e6', '10.0.0.102', 'running'],
      ['i-4436ed3a', '10.0.0.48', 'running'],
      ['i-4236ed3c', '10.0.0.47', 'running'],
    ]);
    expect(rowsOf(body.services_status?.services).map(({ name, code, state }) => [name, code, state])).toEqual([
      ['node10', '000000', 'running'],
      ['node11', 'ER0003', 'Database communication failure'],
      ['node12', '000000', 'running'],
      ['nosql1', '000000', 'running'],
      ['nosql2', '000000', 'running'],
      ['proxy1', '000000', 'running'],
      ['proxy2', 'ER0003', 'Database communication failure'],
      ['proxy3', 'ER0003', 'Database communication failure'],
      ['lb1', 'ER0003', 'Database communication failure'],
      ['lb2', 'ER0003', 'Database communication failure'],
      ['lb3', '000000', 'running'],
      ['lb4', '000000', 'running'],
    ]);
  });

  test('the heartbeat read and written again differs by its cloud and by `On` alone', () => {
    const expected = JSON.parse(sample('heartbeat.json'));
    delete expected.instances_status.return.cloud;
    expected.services_status.services[11].lb4.state = 'running';
    expect(write(heartbeat())).toBe(JSON.stringify(expected));
  });

  test('the actions and the command are written again as they were read, strictly', () => {
    for (const name of ['actions.json', 'command.json']) {
      expect(write(read(sample(name)))).toBe(JSON.stringify(JSON.parse(sample(name))));
    }
  });

  test('the repaired events differ by their codes alone, now of six characters', () => {
    const expected = JSON.parse(sample('events.json'));
    for (const event of expected.events) Object.assign(event, { code: '000000', previous_code: '000000' });
    expect(write(read(sample('events.json'), { lenient: true }))).toBe(JSON.stringify(expected));
  });

  test('the events as printed are refused with the position of the missing comma', () => {
    const printed = () => read(sample('events.malformed.txt'), { lenient: true });
    expect(printed).toThrow('Malformed input: document at line 7, column 1: found "\\"", allowed: "," or "}"');
    expect(printed).toThrow(expect.toSatisfy(isFleetError));
  });

  test('whatever was read leniently is read strictly once it is written', () => {
    for (const name of ['heartbeat.json', 'events.json', 'actions.json', 'command.json']) {
      const document = read(sample(name), { lenient: true });
      expect(read(write(document))).toEqual(document);
    }
  });
});

describe('what only the lenient reader takes', () => {
  test.each([
    ['heartbeat.json', 'services_status.services[11].lb4.state: found "On", allowed: "running", the text of 000000'],
    ['events.json', 'events[0].code: found "0", allowed: a code of six characters'],
  ])('%s is refused strictly, with the field that is old', (name, message) => {
    expect(() => read(sample(name))).toThrow(message);
  });

  test('a return is a code itself, or calls it error; where it is the question it stays', () => {
    const returned = (value: unknown) =>
      read(JSON.stringify({ instances: [], return: value }), { lenient: true, kind: 'instances' }).body.return;
    expect(returned('ER0018')).toEqual({ code: 'ER0018' });
    expect(returned(0)).toEqual({ code: '000000' });
    expect(returned({ error: '000000', version: '1.0' })).toEqual({ code: '000000', version: '1.0' });
    expect(returned({ command: { action: 'status' } })).toEqual({ command: { action: 'status' } });
    expect(() => read('{"instances":[],"return":"ER0018"}')).toThrow('return: found a text, allowed: an object');
  });

  test('the state `On` with any other code than success is refused in every mode', () => {
    const service = { name: 'n', ip: null, mode: 'mariadb', status: 'na', state: 'On', code: 'ER0003' };
    const text = JSON.stringify({ services: [{ n: service }] });
    expect(() => read(text, { lenient: true })).toThrow('"Database communication failure", the text of ER0003');
  });
});
