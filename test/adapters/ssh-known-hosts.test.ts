import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hostKeys } from '../../adapters/ssh/host-keys.ts';
import { type Ip, parseIp } from '../../src/domain/identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-known-hosts-'));
afterAll(() => rmSync(folder, { recursive: true }));

const keyOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');

function makeKey(type: string): { readonly line: string; readonly key: Buffer; readonly fingerprint: string } {
  const path = join(folder, `${type}-${Math.random()}`);
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
  const line = readFileSync(`${path}.pub`, 'utf8').trim();
  const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', path], { encoding: 'utf8' }).split(' ')[1] ?? '';
  return { line, key: keyOf(line), fingerprint };
}

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

const ip = asIp('10.0.0.5');
const mine = makeKey('ed25519');
const other = makeKey('ed25519');
const rsa = makeKey('rsa');
const ecdsa = makeKey('ecdsa');

const judge = (knownHosts: string, key = mine.key, port = 22) => hostKeys({ knownHosts }).judge(ip, port, key);

describe('known hosts', () => {
  test.each([
    ['by its address', `10.0.0.5 ${mine.line}`],
    ['among other names', `node5,10.0.0.5,10.0.0.6 ${mine.line} a comment`],
    ['by a pattern', `10.0.0.* ${mine.line}`],
    ['after comments and blank lines', `# ours\n\n  10.0.0.5\t${mine.line}\r\n`],
  ])('know a host %s', (_, text) => {
    expect(judge(text)).toBe('trusted');
  });

  test('that ssh-keygen has hashed know the same hosts', () => {
    const path = join(folder, 'hashed');
    writeFileSync(path, `10.0.0.5 ${mine.line}\n[10.0.0.5]:2222 ${other.line}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'ignore' });
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('10.0.0.5');
    expect(judge(text)).toBe('trusted');
    expect(judge(text, other.key, 2222)).toBe('trusted');
    expect(judge(text, other.key)).toBe('changed');
    expect(hostKeys({ knownHosts: text }).judge(asIp('10.0.0.7'), 22, mine.key)).toBe('unknown');
  });

  test('of one port say nothing of another', () => {
    expect(judge(`[10.0.0.5]:2222 ${mine.line}`, mine.key, 2222)).toBe('trusted');
    expect(judge(`[10.0.0.5]:2222 ${mine.line}`, mine.key, 22)).toBe('unknown');
    expect(judge(`10.0.0.5 ${mine.line}`, mine.key, 2222)).toBe('unknown');
  });

  test('do not let a point of an address stand for any character', () => {
    expect(judge(`10.0.0.5 ${mine.line}`, mine.key)).toBe('trusted');
    expect(hostKeys({ knownHosts: `10.0.0.5 ${mine.line}` }).judge(asIp('10.0.0.50'), 22, mine.key)).toBe('unknown');
    expect(hostKeys({ knownHosts: `1.0.0.5 ${mine.line}` }).judge(asIp('100.0.5.5'), 22, mine.key)).toBe('unknown');
  });

  test('leave out what a pattern excludes', () => {
    expect(judge(`10.0.0.*,!10.0.0.5 ${mine.line}`)).toBe('unknown');
  });

  test('call a differing key changed, also one of another type', () => {
    expect(judge(`10.0.0.5 ${mine.line}`, other.key)).toBe('changed');
    expect(judge(`10.0.0.5 ${mine.line}`, rsa.key)).toBe('changed');
  });

  test('refuse a revoked key, even where another line lists it', () => {
    expect(judge(`10.0.0.5 ${mine.line}\n@revoked * ${mine.line}`)).toBe('revoked');
  });

  test('do not take the key of a certificate authority for the key of a host', () => {
    expect(judge(`@cert-authority * ${mine.line}\n10.0.0.6 ${other.line}`)).toBe('unknown');
  });

  test.each([
    ['a line without a key', '10.0.0.5 ssh-ed25519'],
    ['a key of another type than it says', `10.0.0.5 ${mine.line.replace('ssh-ed25519', 'ssh-rsa')}`],
    ['an unknown marker', `@trusted 10.0.0.5 ${mine.line}`],
    ['a hash of another scheme', `|2|aaaa|bbbb ${mine.line}`],
  ])('are refused with the number of the line for %s', (_, line) => {
    expect(() => hostKeys({ knownHosts: `# first\n${line}\n` })).toThrow(
      expect.objectContaining({ code: 'ER0230', message: expect.stringContaining('line 2') }),
    );
  });

  test('ask a host only for the types of key that are known of it, and never for SHA-1', () => {
    const keys = hostKeys({ knownHosts: `10.0.0.5 ${rsa.line}\n10.0.0.5 ${ecdsa.line}\n10.0.0.6 ${mine.line}` });
    expect(keys.offers(ip, 22)).toEqual([['rsa-sha2-512', 'rsa-sha2-256', 'ecdsa-sha2-nistp256']]);
    expect(keys.offers(asIp('10.0.0.6'), 22)).toEqual([['ssh-ed25519']]);
  });
});

describe('pinned fingerprints', () => {
  test('trust the keys that ssh-keygen shows them for, and go before the known hosts', () => {
    const pinned = hostKeys({
      knownHosts: `10.0.0.5 ${other.line}`,
      fingerprints: { '10.0.0.5': [mine.fingerprint, rsa.fingerprint] },
    });
    expect(pinned.judge(ip, 22, mine.key)).toBe('trusted');
    expect(pinned.judge(ip, 22, rsa.key)).toBe('trusted');
    expect(pinned.judge(ip, 22, other.key)).toBe('changed');
  });

  test('may come as a map', () => {
    expect(hostKeys({ fingerprints: new Map([['10.0.0.5', mine.fingerprint]]) }).judge(ip, 22, mine.key)).toBe('trusted');
  });

  test.each([
    ['MD5', { '10.0.0.5': 'MD5:00:11' }],
    ['nothing', { '10.0.0.5': [] }],
    ['a name for an ip', { node5: mine.fingerprint }],
  ])('are refused for %s', (_, fingerprints) => {
    expect(() => hostKeys({ fingerprints })).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });
});

test.each([{}, { knownHosts: '# nobody yet\n' }, { fingerprints: {} }])(
  'without a way to know a host there are no host keys: %j',
  (options) => {
    expect(() => hostKeys(options)).toThrow(expect.objectContaining({ code: 'ER0230' }));
  },
);
