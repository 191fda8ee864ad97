import { fromCommand, read, toCommand, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { parseIp } from '../../src/domain/identity.ts';
import { isFleetError } from '../../src/errors.ts';

const commandOf = (level: string, action: string, more: object = {}) =>
  toCommand(read(JSON.stringify({ level, command: { action, group: 'all' }, ...more }), { kind: 'command' }));

const codeOf = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return isFleetError(error) ? error.code : error;
  }
};

describe('a command', () => {
  test('is of any type unless it says', () => {
    expect(commandOf('services', 'start')).toEqual({ level: 'services', action: 'start', group: 'all', type: 'all' });
  });

  test('carries the addresses of the host that asks', () => {
    const host = { interfaces: [{ eth0: { IP: '10.0.0.5', STATE: 'UP' }, lo: { IP: '127.0.0.1', STATE: 'UP' } }], ram: '2048' };
    expect(commandOf('instances', 'world', { host }).host).toEqual({ ips: [parseIp('10.0.0.5')], ram: '2048' });
  });

  test('may be about an id of any provider', () => {
    const group = 'urn:vcloud:vm:7a0f';
    expect(toCommand(fromCommand({ level: 'instances', action: 'stop', group })).group).toBe(group);
  });

  test('of an unknown level is refused with the levels', () => {
    expect(codeOf(() => commandOf('cloud', 'status'))).toBe('ER0201');
    expect(() => commandOf('cloud', 'status')).toThrow('command at level: found "cloud", allowed: instances, services, config');
  });

  test.each([
    ['instances', 'install', 'status, heartbeat, actions, actions_init, launch, start'],
    ['services', 'launch', 'status, install, remove, start, stop'],
    ['services', 'toString', 'status, install, remove, start, stop'],
    ['config', 'start', 'display, rules, file'],
  ])('of %s with the action %s is refused with the actions of its level', (level, action, allowed) => {
    expect(codeOf(() => commandOf(level, action))).toBe('ER0202');
    expect(() => commandOf(level, action)).toThrow(`command at command.action: found "${action}", allowed: ${allowed}`);
  });

  test('of the config level is one', () => {
    expect(commandOf('config', 'display')).toMatchObject({ level: 'config', action: 'display' });
  });

  test('is written in the words of the seed and read again', () => {
    const command = { level: 'instances', action: 'heartbeat', group: 'all', type: 'all' } as const;
    const text = write(fromCommand(command));
    expect(text).toBe('{"level":"instances","command":{"action":"heartbeat","group":"all","type":"all"}}');
    expect(toCommand(read(text, { kind: 'command' }))).toEqual(command);
  });
});
