import { expect, test } from 'vitest';
import { asEntityKey, asInstant } from '../../src/domain/identity.ts';
import { DEFAULT_POLICY } from '../../src/domain/policy.ts';
import { decideRecovery, type Look } from '../../src/domain/recovery.ts';

const KEY = asEntityKey('services/cache0');
const LOST: Look = {
  key: KEY,
  cluster: 'shop',
  is: 'lost',
  why: 'stopped',
  unit: KEY,
  readAt: asInstant(1),
  cannot: null,
  isActing: false,
  failsOverTo: null,
  isOvertaken: false,
};
const policy = { ...DEFAULT_POLICY, dwellMs: 0, dwellReadings: 1 };

test.each<[string, Partial<Look>, object]>([
  ['cannot be started', { cannot: { code: 'ER0207', message: 'held' } }, { state: 'waiting', code: 'ER0207', reason: 'held' }],
  ['is in maintenance', { is: 'held', why: 'by anna' }, { state: 'waiting', code: 'ER0238', reason: 'by anna' }],
  ['needs another', { is: 'dependent', why: 'it needs db1' }, { state: 'waiting', code: 'ER0218', reason: 'it needs db1' }],
  ['is commanded', { is: 'commanded', why: 'restart' }, { state: 'waiting', code: 'ER0227', reason: 'restart' }],
  ['is not to run', { is: 'not wanted', why: 'stopped by hand' }, { state: 'off', code: 'ER0247', reason: 'stopped by hand' }],
  ['cannot be seen', { is: 'unseen', why: 'blind' }, { state: 'unseen', code: 'ER0200', reason: 'blind' }],
  ['is well', { is: 'well', why: '' }, { state: 'well', code: '000000', reason: '', lostSince: null }],
  ['is recovered', {}, { state: 'acting', code: 'ER0255', reason: 'recovering: stopped', lostSince: 1000 }],
])('a service that %s says so by a code and in words', (_, look, told) => {
  const { standings } = decideRecovery([{ ...LOST, ...look }], new Map(), { now: asInstant(1000), policy });
  expect(standings.get(KEY)).toMatchObject(told);
});

test('a failover does not wait for another recovery of its cluster, which may wait for the lost master itself', () => {
  const other: Look = { ...LOST, key: asEntityKey('services/db3'), unit: 'db3' };
  const at = (now: number) => ({ now: asInstant(now), policy: { ...policy, radiusLeast: 5 } });
  const { standings } = decideRecovery([other], new Map(), at(1000));
  const decide = (failsOverTo: string | null) =>
    decideRecovery(
      [
        { ...other, isActing: true },
        { ...LOST, failsOverTo },
      ],
      standings,
      at(2000),
    ).act;
  expect(decide(null)).toEqual([]);
  expect(decide('db2')).toEqual([KEY]);
});

test('a start that only waits is ended once the loss has turned out to call for a failover, which has its own time to be sure', () => {
  const onHost = { unit: '10.0.0.1', why: 'its instance is unreachable', isActing: true, failsOverTo: 'db2' };
  const slow = { ...policy, dwellMs: 4000, holdDownMs: 60_000 };
  const decide = (now: number, look: Partial<Look>, before: Parameters<typeof decideRecovery>[1]) =>
    decideRecovery([{ ...LOST, ...look, readAt: asInstant(now) }], before, { now: asInstant(now), policy: slow });
  const suspected = decide(1000, { why: 'failing' }, new Map());
  const begun = decide(5000, { why: 'failing' }, suspected.standings);
  expect(begun.act).toEqual([KEY]);
  expect(decide(6000, onHost, begun.standings)).toMatchObject({ act: [], end: [] });

  const overtaken = decide(7000, { ...onHost, isOvertaken: true }, begun.standings);
  expect(overtaken).toMatchObject({ act: [], end: [KEY] });
  const ended = { ...onHost, isActing: false };
  expect(decide(10_000, ended, overtaken.standings).act).toEqual([]);
  expect(decide(11_000, ended, overtaken.standings)).toMatchObject({ act: [KEY], end: [] });
});

test('the loss of a service begins anew where that of its instance has ended', () => {
  const key = asEntityKey('services/db1');
  const lost = {
    key,
    cluster: 'shop',
    is: 'lost',
    cannot: null,
    isActing: false,
    failsOverTo: null,
    isOvertaken: false,
  } as const;
  const onHost = (unit: string, why: string): Omit<Look, 'readAt'> => ({ ...lost, unit, why });
  const slow = { ...DEFAULT_POLICY, dwellMs: 4000, dwellReadings: 1 };
  let standings: Parameters<typeof decideRecovery>[1] = new Map();
  const actsAt = (second: number, look: Omit<Look, 'readAt'>) => {
    const now = asInstant(second * 1000);
    const decision = decideRecovery([{ ...look, readAt: now }], standings, { now, policy: slow });
    standings = decision.standings;
    return decision.act.length > 0;
  };
  const waits = {
    ...onHost('10.0.0.101', 'its instance is unreachable'),
    cannot: { code: 'ER0227', message: 'it waits until it is known' },
  };
  for (let second = 1; second <= 20; second++) expect(actsAt(second, waits)).toBe(false);
  // What is believed of it may still be from before.
  for (let second = 21; second <= 24; second++) expect(actsAt(second, onHost(key, 'failing'))).toBe(false);
  expect(actsAt(25, onHost(key, 'failing'))).toBe(true);
});
