import { type Action, asActionId, asInstant, asToken, type Do, NOW, serviceKey } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { isFirstInLane, placesFor } from '../../src/domain/lanes.ts';

const LANE = serviceKey('node1');
const what = (verb: 'install' | 'start' | 'stop' | 'restart'): Do => ({ level: 'services', name: 'node1', verb });

const action = (id: string, order: number, more: Partial<Action> = {}): Action => ({
  lane: LANE,
  when: NOW,
  do: what('start'),
  id: asActionId(id),
  token: asToken(`${id}.1`),
  order,
  armedAt: asInstant(0),
  expiresAt: null,
  onExpire: 'drop',
  status: 'waiting',
  attempts: 0,
  begun: null,
  history: [],
  ...more,
});

describe('in a lane', () => {
  test('only the first that has not ended may fire', () => {
    const lane = [action('a', 1, { status: 'done' }), action('b', 2), action('c', 3)];
    expect(lane.filter((one) => isFirstInLane(one, lane)).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('what has failed holds those behind it', () => {
    const lane = [action('a', 1, { status: 'failed' }), action('b', 2)];
    expect(lane.filter((one) => isFirstInLane(one, lane)).map(({ id }) => id)).toEqual(['a']);
  });

  test('stop does not wait for its turn', () => {
    const lane = [action('a', 1, { status: 'dispatching' }), action('b', 2, { do: what('stop') })];
    expect(lane.filter((one) => isFirstInLane(one, lane)).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('one of two that two fleets put in one place is first, the same one everywhere', () => {
    const lane = [action('b', 1), action('a', 1)];
    for (const seen of [lane, [...lane].reverse()])
      expect(seen.filter((one) => isFirstInLane(one, seen)).map(({ id }) => id)).toEqual(['a']);
  });
});

describe('new steps stand', () => {
  const steps = [what('install'), what('start'), what('restart')].map((one) => ({ lane: LANE, when: NOW, do: one }));
  const standing = (lane: readonly Action[], of: Readonly<Partial<Record<Do['verb'], Action>>> = {}) => ({
    of: ({ do: { verb } }: { readonly do: Do }) => of[verb],
    in: () => lane,
  });

  test('behind their lane where none of them stands there', () => {
    expect(placesFor(steps, standing([action('x', 4)]))).toEqual([null, null, null]);
  });

  test('in front of those of the same command that wait there already', () => {
    const last = action('last', 8);
    const [first, second, third] = placesFor(steps, standing([action('x', 4), last], { restart: last }));
    expect(third).toBe(8);
    expect([4, first, second, 8]).toEqual([4, first, second, 8].sort((a, b) => Number(a) - Number(b)));
    expect(new Set([4, first, second, 8]).size).toBe(4);
  });

  test('in the place of the failed one that they replace', () => {
    const failed = action('failed', 3, { status: 'failed' });
    expect(placesFor(steps.slice(0, 1), standing([failed], { install: failed }))).toEqual([3]);
  });

  test('in front of the action that they are to precede', () => {
    const before = action('before', 5);
    const places = placesFor(steps.slice(0, 2), standing([action('x', 4), before]), before);
    expect(places.every((place) => place !== null && place > 4 && place < 5)).toBe(true);
  });
});
