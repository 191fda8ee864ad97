import { expect, test } from 'vitest';
import { addressPolicy } from '../../adapters/http/address-policy.ts';

const refusal = (url: string, allow: readonly string[] = []) =>
  addressPolicy({ loopback: 'listed', http: 'listed', allow }).refusalOf(new URL(url));

test.each([
  'https://169.254.169.254/',
  'https://[::ffff:169.254.169.254]/',
  'https://2852039166/',
  'https://0xa9.254.43518/',
  'https://169.254.169.254./',
  'https://[::169.254.169.254]/',
  'https://[::ffff:0:169.254.169.254]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[64:ff9b::6464:64c8]/',
  'https://[64:ff9b:1::a9fe:a9fe]/',
  'https://[2002:a9fe:a9fe::1]/',
  'https://[2002:6464:64c8::1]/',
  'https://[::127.0.0.1]/',
  'https://[fd00:ec2::254]/',
  'https://100.100.100.200/',
  'https://[fe80::1]/',
  'https://224.0.0.1/',
  'https://0.0.0.0/',
  'https://[::]/',
])('%s is refused, whatever is listed', (url) => {
  const { hostname } = new URL(url);
  expect(refusal(url)).toContain('link-local, metadata or group address');
  expect(refusal(url, [hostname])).not.toBeNull();
});

test.each([
  ['https://127.0.0.1/', []],
  ['https://127.1/', []],
  ['https://[::1]/', []],
  ['https://[::ffff:127.0.0.1]/', []],
  ['https://[64:ff9b::7f00:1]/', []],
  ['https://[2002:7f00:1::]/', []],
  ['http://127.0.0.1:5000/', ['127.0.0.1:5001']],
  ['http://127.0.0.1:5000/', ['127.0.0.2']],
  ['http://10.0.0.1/', []],
  ['http://cloud.example/', []],
  ['http://cloud.example:81/', ['cloud.example:80']],
  ['https://a:b@cloud.example/', []],
  ['gopher://cloud.example/', ['cloud.example']],
])('%s is refused where %j are listed', (url, allow) => {
  expect(refusal(url, allow)).not.toBeNull();
});

test.each([
  ['https://cloud.example/', []],
  ['https://10.0.0.1/', []],
  ['https://[2001:db8::1]/', []],
  ['https://[64:ff9b::808:808]/', []],
  ['https://[2002:808:808::1]/', []],
  ['http://127.0.0.1:5000/', ['127.0.0.1:5000']],
  ['http://127.0.0.1:5000/', ['127.0.0.1']],
  ['http://127.0.0.1/', ['127.0.0.1:80']],
  ['https://127.0.0.1/', ['127.0.0.1:443']],
  ['http://[::1]:5000/', ['[::1]:5000']],
  ['http://CLOUD.example/', ['cloud.Example']],
])('%s is allowed where %j are listed', (url, allow) => {
  expect(refusal(url, allow)).toBeNull();
});

test.each(['', 'http://127.0.0.1', '127.0.0.1/8', 'a b', '::1', 'host:port', 'host:', 'u@host'])('%j lists nothing', (entry) => {
  expect(() => addressPolicy({ loopback: 'listed', http: 'listed', allow: [entry] })).toThrow(
    expect.objectContaining({ code: 'ER0230' }),
  );
});
