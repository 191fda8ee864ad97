import { instanceKey, parseIp, serviceKey, wantedKey } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { asEntityKey, isName, isProviderId, levelOf, nameOf, wantedOf } from '../../src/domain/identity.ts';

const ip = (text: string) => {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(`${text} is no ip`);
  return parsed;
};

describe('an address', () => {
  test.each([
    ['10.0.0.102', '10.0.0.102'],
    ['0.0.0.0', '0.0.0.0'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s is read as %s', (text, canonical) => {
    expect(parseIp(text)).toBe(canonical);
  });

  test.each([
    '',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '0x7f.0.0.1',
    '127.1',
    '10.0.0.1:22',
    '[::1]',
    'fe80::1%eth0',
    '::1/64',
    ':::',
    'localhost',
    '10.0.0.1\n',
    '１０.0.0.1',
    '__proto__',
  ])('is not read from %j', (text) => {
    expect(parseIp(text)).toBeNull();
  });
});

describe('a name', () => {
  test.each(['a', 'node10', 'shop.eu-1_b', '1st', 'a'.repeat(63)])('may be %j', (text) => {
    expect(isName(text)).toBe(true);
  });

  test.each(['', '-a', '.a', 'a b', 'a/b', 'a'.repeat(64), 'ä', 'a\n', '__proto__', 'constructor', 'prototype', '$(reboot)'])(
    'may not be %j',
    (text) => {
      expect(isName(text)).toBe(false);
    },
  );
});

describe("a provider's id", () => {
  test.each(['i-830dcde4', 'urn:vcloud:vm:8f1c', 'a/b', 'x'.repeat(255)])('may be %j', (text) => {
    expect(isProviderId(text)).toBe(true);
  });

  test.each(['', 'a b', 'a"b', "a'b", 'a\\b', 'a`b', 'a\n', 'é', 'x'.repeat(256), '__proto__'])('may not be %j', (text) => {
    expect(isProviderId(text)).toBe(false);
  });
});

describe('a key', () => {
  test('names its level, and its entity whatever stands in the id', () => {
    expect(levelOf(serviceKey('node10'))).toBe('services');
    expect(nameOf(serviceKey('node10'))).toBe('node10');
    expect(levelOf(instanceKey('ec2', 'i-1'))).toBe('instances');
    expect(nameOf(instanceKey('vcloud', 'urn:vcloud:vm/1'))).toBe('urn:vcloud:vm/1');
  });

  test('of what is wanted gives back its cloud and ip; any other key gives none', () => {
    const key = wantedKey('ec2', ip('2001:db8::1'));
    expect(wantedOf(key)).toEqual({ cloud: 'ec2', ip: '2001:db8::1' });
    expect(nameOf(key)).toBe('2001:db8::1');
    expect(wantedOf(instanceKey('ec2', 'i-1'))).toBeNull();
    expect(wantedOf(asEntityKey('services/wanted'))).toBeNull();
  });
});
