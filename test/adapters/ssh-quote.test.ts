import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quote } from '../../adapters/ssh/quote.ts';

const word = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom("'", '"', '\\', '$', '`', '!', '\n', ' ', '*', '~', ';', '&', '|', '#', '=', '-', '(', 'a'),
  }),
  fc.constantFrom('', '-n', '--', "'", "''", '$(id)', '`id`', '; exit 1', '$HOME', '\\', "\\'", '%s', '*'),
);
const words = fc.array(
  word.map((text) => text.replaceAll('\0', '')),
  { minLength: 1, maxLength: 6 },
);

/** What a real shell makes of the lines: every word of every line, each ended by NUL. */
const wordsSeenByShell = (lines: readonly string[]): string[] =>
  execFileSync('/bin/sh', { input: lines.join('\n'), encoding: 'utf8', maxBuffer: 2 ** 26 })
    .split('\0')
    .slice(0, -1);

describe('a quoted argv', () => {
  test('reaches the program word for word, whatever the words are', () => {
    fc.assert(
      fc.property(fc.array(words, { minLength: 100, maxLength: 100 }), (argvs) => {
        const lines = argvs.map((argv) => quote(['printf', '%s\\0', ...argv]));
        expect(wordsSeenByShell(lines)).toEqual(argvs.flat());
      }),
      { numRuns: 10 },
    );
  });

  test('is refused where a word holds NUL', () => {
    expect(() => quote(['echo', 'a\0b'])).toThrow(expect.objectContaining({ code: 'ER0222' }));
  });

  test.each([[[]], [['']]])('is refused without a program: %j', (argv) => {
    expect(() => quote(argv)).toThrow(expect.objectContaining({ code: 'ER0222' }));
  });
});
