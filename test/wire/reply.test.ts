import fc from 'fast-check';
import { fromChanges, fromReply, read, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import type { Code } from '../../src/domain/codes.ts';
import { asInstant, parseIp, serviceKey, wantedKey } from '../../src/domain/identity.ts';
import type { Change, View } from '../../src/domain/view.ts';
import { instanceView, serviceView, views } from './arbitraries.ts';

const AT = asInstant(1_700_000_000_000);
const START = { level: 'services', action: 'start', group: 'node10' } as const;

const [seenService, seenInstance] =
  fc.sample(fc.tuple(serviceView, instanceView), { numRuns: 1, seed: 1 })[0] ?? expect.unreachable();
const node10: View = {
  ...seenService,
  key: serviceKey('node10'),
  name: 'node10',
  state: 'stopped',
  code: 'ER0023',
  holds: new Set(['stopped', 'installed']),
};

describe('a reply', () => {
  test('repeats the question and lists what became of each target', () => {
    const { body } = fromReply({
      question: START,
      code: 'ER0016',
      at: AT,
      targets: [{ key: serviceKey('node10'), code: 'ER0016' }],
    });
    expect(body).toEqual({
      return: { code: 'ER0016' },
      version: '1.1',
      question: { ...START, type: 'all' },
      services: [{ node10: { name: 'node10', state: 'Delayed start until instance start', code: 'ER0016' } }],
      console: [],
    });
  });

  test('shows with a target what is known of it, the rung only with the code that it was seen with', () => {
    const rowOf = (code: Code) =>
      fromReply({ question: START, code, at: AT, targets: [{ key: node10.key, code }], views: [node10] }).body.services?.[0]
        ?.node10;
    expect(rowOf('ER0016')).toMatchObject({ ip: node10.ip, state: 'Delayed start until instance start' });
    expect(rowOf('ER0016')).not.toHaveProperty('rung');
    expect(rowOf('ER0023')).toMatchObject({ state: 'stopped', rung: 'installed' });
  });

  test('lists an instance that has no view yet under its address', () => {
    const ip = parseIp('10.0.0.7') ?? expect.unreachable();
    const key = wantedKey('ec2', ip);
    const { body } = fromReply({
      question: { ...START, level: 'instances' },
      code: 'ER0017',
      at: AT,
      targets: [{ key, code: 'ER0017' }],
    });
    expect(body.instances).toEqual([{ '10.0.0.7': { id: null, ip, cloud: 'ec2', code: 'ER0017' } }]);
  });

  test('has a list for its level even where that is empty, and none for a level that there is not', () => {
    const lists = (level: string) => Object.keys(fromReply({ question: { ...START, level }, code: 'ER0201', at: AT }).body);
    expect(lists('instances')).toContain('instances');
    expect(lists('config')).toContain('config');
    expect(lists('cloud')).toEqual(['return', 'version', 'question', 'console']);
  });

  test('shows what is masked and nothing of what is not', () => {
    const config = [{ db: { password: '******', user: 'root', datadir: '/data' } }];
    const text = write(fromReply({ question: { ...START, level: 'config' }, code: '000000', at: AT, config }));
    expect(JSON.parse(text).config).toEqual([{ db: { password: '******', datadir: '/data' } }]);
  });

  test('of any views is read again as it was written', () => {
    fc.assert(
      fc.property(views, (all) => {
        const reply = fromReply({ question: { ...START, level: 'instances' }, code: '000000', at: AT, views: all });
        expect(read(write(reply))).toEqual(reply);
      }),
    );
  });
});

describe('events', () => {
  const change = (from: View | null, to: View): Change => ({
    id: 'e:1:k:0',
    kind: 'changed',
    key: to.key,
    at: AT,
    source: 's',
    from,
    to,
  });

  test('have the seven fields of the seed', () => {
    const to: View = { ...node10, state: 'up', code: '000000', ip: null };
    expect(fromChanges([change(node10, to), change(null, node10)]).body.events).toEqual([
      {
        type: 'services',
        name: 'node10',
        ip: '',
        state: 'running',
        previous_state: 'stopped',
        code: '000000',
        previous_code: 'ER0023',
      },
      {
        type: 'services',
        name: 'node10',
        ip: node10.ip ?? '',
        state: 'stopped',
        previous_state: null,
        code: 'ER0023',
        previous_code: null,
      },
    ]);
  });

  test('call an instance that has become unreachable pending, and every rung running', () => {
    const managed: View = { ...seenInstance, state: 'managed', code: '000000' };
    const [event] = fromChanges([change(managed, { ...managed, state: 'unreachable', code: 'ER0241' })]).body.events;
    expect(event).toMatchObject({ state: 'pending', previous_state: 'running', code: 'ER0241' });
  });

  test('of any changes are read again as they were written', () => {
    const changes = fc.oneof(fc.tuple(fc.option(instanceView), instanceView), fc.tuple(fc.option(serviceView), serviceView));
    fc.assert(
      fc.property(fc.array(changes), (all) => {
        const events = fromChanges(all.map(([from, to]) => change(from, to)));
        expect(read(write(events))).toEqual(events);
      }),
    );
  });
});
