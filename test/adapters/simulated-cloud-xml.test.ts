import fc from 'fast-check';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, test } from 'vitest';
import { isLike } from '../../src/testing/cloud/selection.ts';
import { element } from '../../src/testing/cloud/xml.ts';
import { RUNS } from '../properties/runs.ts';

const parser = new XMLParser({ parseTagValue: false, trimValues: false, htmlEntities: true });

describe("the simulated EC2's XML", () => {
  test('has an item for each of a list, and nothing for what is not there', () => {
    expect(element('a', { list: [1, true, { b: 'c' }], none: null, nothing: undefined, empty: [] }, ' x="y"')).toBe(
      '<a x="y"><list><item>1</item><item>true</item><item><b>c</b></item></list><empty></empty></a>',
    );
  });

  test('is read as what was written, whatever the text', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(text, fc.constantFrom('', '<a>', ']]>', '&amp;', '"\'', '<!--', '&#x0;'), (value, more) => {
        expect(parser.parse(element('a', value + more))).toEqual({ a: value + more });
      }),
      RUNS,
    );
  });

  test('has none of the characters that no document may have', () => {
    expect(element('a', '\u0000x\u001b\uffff')).toBe('<a>\ufffdx\ufffd\ufffd</a>');
  });
});

describe("a pattern of EC2's filters", () => {
  test.each([
    ['10.0.0.1', '10.0.*.1', true],
    ['10.0.0.1', '10.?.?.?', true],
    ['10.0.0.1', '10.0.0', false],
    ['', '*', true],
    ['', '?', false],
    ['abcabc', 'a*c', true],
    ['abcabd', 'a*c', false],
    ['a.b', 'a.b', true],
    ['axb', 'a.b', false],
    ['aaaa', '*a*a*', true],
  ])('%j fits %j: %j', (value, pattern, fits) => {
    expect(isLike(value, pattern)).toBe(fits);
  });

  test('does not take for ever where it fits nearly', () => {
    expect(isLike('a'.repeat(20_000), `${'*a'.repeat(200)}b`)).toBe(false);
  });
});
