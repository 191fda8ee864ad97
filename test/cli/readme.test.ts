import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { check } from '../../src/cli/config/check.ts';

const README = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

test('the configuration in the README is one, with every cloud that is behind an API', () => {
  const [, text = ''] = /^```yaml\n([\s\S]*?)^```/m.exec(README) ?? [];
  const { cloud, clouds } = check(parse(text), { file: 'README.md' });
  expect(cloud.name).toBe('aws');
  expect(Object.values(clouds).map(({ driver }) => driver)).toEqual(['ec2', 'openstack', 'digitalocean', 'hetzner', 'vcloud']);
});
