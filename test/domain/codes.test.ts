import { CODE_TEXTS, isRetryable, textOf } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { CODE_OF_STATE, codeOfText, knownCode, stateOfCode } from '../../src/domain/codes.ts';

describe('the table of codes', () => {
  const codes = Object.keys(CODE_TEXTS);

  test('has six characters and a text for each, and no text twice', () => {
    for (const code of codes) expect(code).toMatch(/^(0{6}|ER\d{4})$/);
    const texts: readonly string[] = Object.values(CODE_TEXTS);
    for (const text of texts) expect(text).toMatch(/^\S(.*\S)?$/);
    expect(new Set(texts).size).toBe(texts.length);
  });

  test('is read both ways', () => {
    for (const code of codes) expect(codeOfText(textOf(code))).toBe(code);
  });

  test('leaves what it does not know as it is, also where the word means something to objects', () => {
    for (const code of ['ER9999', '', '__proto__', 'constructor', 'toString']) {
      expect(textOf(code)).toBe(code);
      expect(knownCode(code, 'ER0221')).toBe('ER0221');
      expect(codeOfText(code)).toBeNull();
      expect(stateOfCode(code)).toBe('unknown');
    }
  });

  test('has a code for every state of a service, which is read as that state, or as its lowest rung', () => {
    for (const [state, code] of Object.entries(CODE_OF_STATE)) {
      const expected = state === 'replicating' || state === 'routed' ? 'up' : state;
      expect(stateOfCode(code)).toBe(expected);
    }
  });

  test('reads every way in which a server fails as failing, and the words of old writers', () => {
    for (const code of ['ER0002', 'ER0003', 'ER0004', 'ER0005', 'ER0018']) expect(stateOfCode(code)).toBe('failing');
    expect(stateOfCode('ER0021')).toBe('starting');
    expect(stateOfCode('ER0022')).toBe('stopping');
    expect(stateOfCode('ER0016')).toBe('unknown');
  });

  test('says of a refusal for good that another try is pointless, and of a failure that it is not', () => {
    for (const code of ['ER0203', 'ER0222', 'ER0213', 'ER0244']) expect(isRetryable(code)).toBe(false);
    for (const code of ['ER0212', 'ER0216', 'ER0220', 'ER0240', 'ER9999']) expect(isRetryable(code)).toBe(true);
  });
});
