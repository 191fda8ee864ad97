import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { createAgenda } from '../../src/testing/simulated-agenda.ts';

describe('an agenda', () => {
  test('lets things happen in order of time, and at one instant in the order in which they were arranged', () => {
    const agenda = createAgenda(asInstant(100));
    const happened: string[] = [];
    for (const [name, delayMs] of [
      ['c', 20],
      ['a', 10],
      ['d', 20],
      ['b', 10],
    ] as const) {
      agenda.after(delayMs, () => happened.push(`${name} at ${agenda.now}`));
    }
    agenda.advance(119);
    expect(happened).toEqual(['a at 110', 'b at 110']);
    agenda.advance(500);
    expect(happened.slice(2)).toEqual(['c at 120', 'd at 120']);
    expect(agenda.now).toBe(500);
  });

  test('counts what follows from when its cause happened, and lets it happen in the same advance', () => {
    const agenda = createAgenda(asInstant(0));
    const happened: number[] = [];
    agenda.after(10, () => agenda.after(10, () => happened.push(agenda.now)));
    agenda.advance(1000);
    expect(happened).toEqual([20]);
  });

  test('forgets what is called off', () => {
    const agenda = createAgenda(asInstant(0));
    const happened: string[] = [];
    const callOff = agenda.after(10, () => happened.push('first'));
    agenda.after(20, () => happened.push('second'));
    expect(agenda.nextAt()).toBe(10);
    callOff();
    expect(agenda.nextAt()).toBe(20);
    agenda.advance(100);
    expect(happened).toEqual(['second']);
    expect(agenda.nextAt()).toBeNull();
  });

  test('never goes back', () => {
    const agenda = createAgenda(asInstant(50));
    agenda.advance(10);
    expect(agenda.now).toBe(50);
  });
});
