import { inspect } from 'node:util';
import { reveal, secret } from 'fleetbeat/adapters/libcloud';
import { expect, test } from 'vitest';
import { scrubber } from '../../adapters/http/secret.ts';

const TEXT = 'hunter2 "and" more/+';

test('a secret shows nowhere, and is revealed to whom it is given', () => {
  const hidden = secret(TEXT);
  const options = { token: hidden, list: [hidden] };
  const shown = [
    JSON.stringify(options),
    inspect(options, { depth: 9, showHidden: true, getters: true }),
    `${hidden}`,
    String(Object.entries(hidden)),
    JSON.stringify({ ...hidden }),
    inspect(new Map([[hidden, hidden]])),
  ];
  expect(shown.join()).not.toContain('hunter2');
  expect(JSON.parse(JSON.stringify(options))).toEqual({ token: '***', list: ['***'] });
  expect(reveal(hidden)).toBe(TEXT);
});

test.each([undefined, ''])('a variable that is not set (%j) is no secret', (text) => {
  expect(() => secret(text)).toThrow(expect.objectContaining({ code: 'ER0230' }));
});

test('only what secret() made is one', () => {
  expect(() => reveal('***' as never)).toThrow(expect.objectContaining({ code: 'ER0230' }));
  expect(() => reveal({} as never)).toThrow(expect.objectContaining({ code: 'ER0230' }));
});

test('what a stranger sends back is scrubbed, also as JSON, as a url and in base64, and tokens as long as they may come back', () => {
  const { scrub, add } = scrubber([TEXT, 'abc']);
  add('token-1');
  const echoes = [TEXT, JSON.stringify(TEXT), encodeURIComponent(TEXT), Buffer.from(TEXT).toString('base64'), 'token-1'];
  for (const echo of echoes) expect(scrub(`before ${echo} after`)).toMatch(/^before "?\*\*\*"? after$/);
  // As short as that it would tear every text apart.
  expect(scrub('abc')).toBe('abc');
  for (let n = 2; n < 20; n++) add(`token-${n}`);
  expect(scrub(`token-1x token-19 ${TEXT}`)).toMatch(/^\S+ \*\*\* \*\*\*$/);
});
