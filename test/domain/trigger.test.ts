import { asInstant, type EntityKey, type Ip, NOW, serviceKey, type Trigger, triggerText, type View } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { judge, type Sight, subjectsOf } from '../../src/domain/trigger.ts';

const view = (name: string, words: readonly string[], more: Partial<View> = {}): View => ({
  key: serviceKey(name),
  level: 'services',
  name,
  ip: null,
  code: '000000',
  state: 'up',
  holds: new Set(words),
  heldSince: new Map(words.map((word) => [word, asInstant(1000)])),
  source: 'probe',
  mark: null,
  unmet: [],
  hostLost: false,
  gone: false,
  since: asInstant(1000),
  readAt: asInstant(9000),
  seenSince: asInstant(0),
  ...more,
});

const seeing = (views: readonly View[], more: Partial<Sight> = {}): Sight => ({
  look: (_, subject) => views.find((one) => 'key' in subject && one.key === subject.key),
  readAt: () => null,
  isBlind: () => false,
  ...more,
});

const is = (name: string, state: string, forMs?: number): Trigger => ({
  on: 'holds',
  level: 'services',
  subject: { key: serviceKey(name) },
  state,
  ...(forMs === undefined ? {} : { forMs }),
});

const at = { now: asInstant(10_000), armedAt: asInstant(5000), policy: { freshMs: 2000 } };

const A = view('a', ['running', 'known']);
const B = view('b', ['stopped', 'known']);

describe('a trigger', () => {
  test('that is now holds, whatever is seen', () => {
    expect(judge(NOW, seeing([]), at)).toEqual({ fresh: true, holds: true });
  });

  test('holds where its word does in a fresh view, whether that came before the arming or after', () => {
    expect(judge(is('a', 'running'), seeing([A]), at)).toEqual({ fresh: true, holds: true });
    expect(judge(is('a', 'running'), seeing([A]), { ...at, armedAt: asInstant(9500) })).toEqual({ fresh: true, holds: true });
    expect(judge(is('a', 'stopped'), seeing([A]), at)).toEqual({ fresh: true, holds: false });
  });

  test('does not hold by a view that is older than the arming and than what counts as fresh', () => {
    const stale = { ...at, armedAt: asInstant(9500), now: asInstant(11_001) };
    expect(judge(is('a', 'running'), seeing([A]), stale)).toEqual({ fresh: false, holds: false });
  });

  test('does not hold by the word of a source that is blind', () => {
    expect(judge(is('a', 'running'), seeing([A], { isBlind: () => true }), at)).toEqual({ fresh: false, holds: false });
  });

  test('of what is not there does not hold, and is fresh where a complete read could have told', () => {
    expect(judge(is('c', 'running'), seeing([A]), at)).toEqual({ fresh: false, holds: false });
    expect(judge(is('c', 'running'), seeing([A], { readAt: () => asInstant(9000) }), at)).toEqual({ fresh: true, holds: false });
  });

  test('that is to last holds once its word has held for so long, by the readings and not by the clock', () => {
    expect(judge(is('a', 'running', 8000), seeing([A]), at).holds).toBe(true);
    expect(judge(is('a', 'running', 8001), seeing([A]), { ...at, now: asInstant(10_999) }).holds).toBe(false);
  });

  test('that is to last begins anew where its source has seen nothing for a while', () => {
    const interrupted = view('a', ['running'], { seenSince: asInstant(6000) });
    expect(judge(is('a', 'running', 3000), seeing([interrupted]), at).holds).toBe(true);
    expect(judge(is('a', 'running', 3001), seeing([interrupted]), at).holds).toBe(false);
  });

  test('of several holds where all, any, or enough of its parts do', () => {
    const parts = [is('a', 'running'), is('b', 'running'), is('b', 'stopped')];
    const held = (trigger: Trigger) => judge(trigger, seeing([A, B]), at).holds;
    expect(held({ on: 'all', of: parts })).toBe(false);
    expect(held({ on: 'any', of: parts })).toBe(true);
    expect(held({ on: 'atLeast', count: 2, of: parts })).toBe(true);
    expect(held({ on: 'atLeast', count: 3, of: parts })).toBe(false);
    expect(held({ on: 'all', of: [{ on: 'any', of: parts }, is('b', 'known')] })).toBe(true);
  });

  test('of several that does not hold is fresh only where every part is', () => {
    const parts = [is('b', 'running'), is('c', 'running')];
    expect(judge({ on: 'any', of: parts }, seeing([A, B]), at)).toEqual({ fresh: false, holds: false });
    expect(judge({ on: 'any', of: [...parts, is('a', 'running')] }, seeing([A, B]), at)).toEqual({ fresh: true, holds: true });
  });

  test('reads as a sentence and names what it looks at', () => {
    const trigger: Trigger = {
      on: 'all',
      of: [{ on: 'holds', level: 'instances', subject: { ip: '10.0.0.102' as Ip }, state: 'running' }, is('a', 'up', 500), NOW],
    };
    expect(triggerText(trigger)).toBe('instances 10.0.0.102 is running and services services/a is up for 500 ms and now');
    expect(subjectsOf(trigger)).toEqual([
      { level: 'instances', subject: { ip: '10.0.0.102' } },
      { level: 'services', subject: { key: 'services/a' as EntityKey } },
    ]);
  });
});
