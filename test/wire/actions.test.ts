import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { fromActions, read, type StepsOptions, toSteps, write } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import type { Action, Step } from '../../src/domain/action.ts';
import type { Do, Subject } from '../../src/domain/command.ts';
import {
  asActionId,
  asInstant,
  asToken,
  clusterKey,
  type Ip,
  instanceKey,
  parseIp,
  serviceKey,
  wantedKey,
} from '../../src/domain/identity.ts';
import { INSTANCE_RUNGS } from '../../src/domain/instance.ts';
import { SERVICE_VERBS } from '../../src/domain/service.ts';
import { NOW, type Trigger } from '../../src/domain/trigger.ts';
import { isFleetError } from '../../src/errors.ts';
import { ip, name, providerId } from './arbitraries.ts';

const ipOf = (text: string): Ip => parseIp(text) ?? expect.unreachable(text);
const IP = ipOf('10.0.0.102');

const row = (more: object = {}) => ({
  event_ip: '10.0.0.102',
  event_type: 'instances',
  event_state: 'running',
  do_level: 'services',
  do_group: 'node10',
  do_action: 'start',
  ...more,
});

const steps = (rows: readonly object[], options: Partial<StepsOptions> = {}) =>
  toSteps(read(JSON.stringify({ actions: rows }), { kind: 'actions' }), { cloud: 'ec2', ...options });

const services = [
  { name: 'node10', ip: IP, cluster: 'shop' },
  { name: 'nosql1', ip: IP },
  { name: 'node11', ip: ipOf('10.0.0.47'), cluster: 'shop' },
];

const codeOf = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return isFleetError(error) ? error.code : error;
  }
};

const action = (step: Step, more: Partial<Action> = {}): Action => ({
  ...step,
  id: asActionId('a1'),
  token: asToken('a1.1'),
  order: 1,
  armedAt: asInstant(0),
  expiresAt: asInstant(1_700_000_000_000),
  onExpire: 'drop',
  status: 'waiting',
  attempts: 2,
  begun: null,
  history: [],
  ...more,
});

describe('the actions of the seed', () => {
  const sample = read(readFileSync(new URL('../support/seed/actions.json', import.meta.url)), { kind: 'actions' });
  const running = { on: 'holds', level: 'instances', subject: { ip: IP }, state: 'running' };

  test('are the bootstrap of an instance and the start of a service, one after the other in the lane of the service', () => {
    expect(toSteps(sample, { cloud: 'ec2' })).toEqual([
      {
        lane: serviceKey('node10'),
        when: running,
        do: { level: 'instances', subject: { ip: IP }, verb: 'bootstrap', upTo: 'managed' },
      },
      { lane: serviceKey('node10'), when: running, do: { level: 'services', name: 'node10', verb: 'start' } },
    ]);
  });

  test('are written back in their words, with id, end, attempts and status', () => {
    const written = fromActions(toSteps(sample, { cloud: 'ec2' }).map((step) => action(step))).body.actions;
    const ours = { id: 'a1', expires_at: '2023-11-14T22:13:20.000Z', attempts: 2, status: 'waiting' };
    expect(written).toEqual(sample.body.actions.map((one) => ({ ...one, ...ours })));
  });
});

describe('what an action waits for', () => {
  const whenOf = (more: object, options: Partial<StepsOptions> = {}) => steps([row(more)], options)[0]?.when;

  test('is nothing where it waits for a cloud or for no address', () => {
    expect(whenOf({ event_type: 'cloud', event_ip: 'na', event_state: 'stopped' })).toEqual(NOW);
    expect(whenOf({ event_ip: 'na' })).toEqual(NOW);
  });

  test('is its own service where that is at the awaited address, else the one or any that is', () => {
    const holds = (of: string) => ({ on: 'holds', level: 'services', subject: { key: serviceKey(of) }, state: 'running' });
    expect(whenOf({ event_type: 'services' }, { services })).toEqual(holds('node10'));
    expect(whenOf({ event_type: 'services', event_ip: '10.0.0.47' }, { services })).toEqual(holds('node11'));
    expect(whenOf({ event_type: 'services', do_group: 'node11' }, { services })).toEqual({
      on: 'any',
      of: [holds('node10'), holds('nosql1')],
    });
    expect(whenOf({ event_type: 'services' })).toEqual({ on: 'holds', level: 'services', subject: { ip: IP }, state: 'running' });
    expect(codeOf(() => whenOf({ event_type: 'services', event_ip: '10.9.9.9' }, { services }))).toBe('ER0205');
  });

  test.each(['running', 'known', 'unreachable', 'managed', 'Database communication failure'])(
    'may be %s of an instance',
    (event_state) => {
      expect(whenOf({ event_state })).toMatchObject({ state: event_state });
    },
  );

  test('is refused with the allowed words where it is none of them', () => {
    expect(() => steps([row(), row({ event_state: 'ready' })])).toThrow(
      'actions[1].event_state: found "ready", allowed: pending, running',
    );
    const handMade = {
      kind: 'actions',
      body: { actions: [{ ...row(), event_type: 'instances', do_level: 'services', event_state: 'up' }] },
    } as const;
    expect(() => toSteps(handMade, { cloud: 'ec2' })).toThrow('actions[0].event_state: found "up", allowed: pending, running');
  });
});

describe('what an action does', () => {
  const doOf = (more: object, options: Partial<StepsOptions> = {}) =>
    steps([row({ do_level: 'instances', ...more })], options)[0];

  test('to an instance by its address, in the lane of whoever will have it', () => {
    const start = { level: 'instances', subject: { ip: IP }, verb: 'start' };
    expect(doOf({ do_group: IP })).toMatchObject({ lane: wantedKey('ec2', IP), do: start });
    const laneAt = () => instanceKey('ec2', 'i-1');
    expect(doOf({ do_group: IP }, { laneAt })).toMatchObject({ lane: instanceKey('ec2', 'i-1'), do: start });
  });

  test('to an instance by its id, in its own lane', () => {
    const key = instanceKey('ec2', 'i-1');
    expect(doOf({ do_group: 'i-1', do_action: 'bootstrap_binaries' })).toMatchObject({
      lane: key,
      do: { level: 'instances', subject: { key }, verb: 'bootstrap', upTo: 'bootstrapped' },
    });
  });

  test('to each service of a group, one step each in its lane', () => {
    const lanes = (do_group: string) => steps([row({ do_group })], { services }).map((step) => step.lane);
    expect(lanes('all')).toEqual(['services/node10', 'services/nosql1', 'services/node11']);
    expect(lanes('shop')).toEqual(['services/node10', 'services/node11']);
    expect(lanes('10.0.0.102')).toEqual(['services/node10', 'services/nosql1']);
    expect(lanes('node11')).toEqual(['services/node11']);
  });

  test('a bootstrap goes to where its service is configured, not to where it waits', () => {
    const [step] = steps([row({ do_group: 'node11', do_action: 'bootstrap_ncc' })], { services });
    expect(step?.do).toMatchObject({ subject: { ip: '10.0.0.47' } });
  });

  test.each([
    [{ do_group: 'all' }, {}, 'ER0203', 'found "all", allowed: the name of one service'],
    [
      { do_group: 'nobody' },
      { services },
      'ER0203',
      'found "nobody", allowed: all, or the name, ip or cluster of a service: node10, nosql1, node11',
    ],
    [{ do_group: 'local', do_level: 'instances' }, {}, 'ER0203', 'found "local", allowed: the ip or the id of one instance'],
    [{ do_action: 'bootstrap_ncc', event_ip: 'na' }, {}, 'ER0203', 'allowed: a service whose ip is configured'],
    [
      { do_action: 'status' },
      {},
      'ER0202',
      'do_action: found "status", allowed: install, start, stop, restart, remove, sync, bootstrap_config, switch, failover, bootstrap_binaries, bootstrap_ncc',
    ],
    [
      { do_action: 'world', do_level: 'instances', do_group: 'i-1' },
      {},
      'ER0202',
      'found "world", allowed: launch, start, stop, reboot, terminate, bootstrap_binaries, bootstrap_ncc',
    ],
  ])('%j is refused', (more, options, code, message) => {
    expect(codeOf(() => steps([row(more)], options))).toBe(code);
    expect(() => steps([row(more)], options)).toThrow(`actions at actions[0].`);
    expect(() => steps([row(more)], options)).toThrow(message);
  });

  test('an action that has ended is not done again', () => {
    expect(steps(['done', 'expired', 'cancelled'].map((status) => row({ status })))).toEqual([]);
    expect(steps(['waiting', 'failed', 'dispatching'].map((status) => row({ status })))).toHaveLength(3);
  });
});

const state = fc.constantFrom('running', 'stopped', 'known', 'unknown');
const level = fc.constantFrom('instances' as const, 'services' as const);
const subject: fc.Arbitrary<Subject> = fc.oneof(
  ip.map((at) => ({ ip: at })),
  fc.tuple(name, providerId).map(([cloud, id]) => ({ key: instanceKey(cloud, id) })),
);
const { trigger } = fc.letrec<{ trigger: Trigger }>((tie) => ({
  trigger: fc.oneof(
    { maxDepth: 3 },
    fc.constant(NOW),
    fc.record({ on: fc.constant('holds' as const), level, subject, state }),
    fc.record({
      on: fc.constant('holds' as const),
      level,
      subject: name.map((of) => ({ key: serviceKey(of) })),
      state,
      forMs: fc.nat(),
    }),
    fc.record({ on: fc.constantFrom('all' as const, 'any' as const), of: fc.array(tie('trigger'), { maxLength: 3 }) }),
    fc.record({ on: fc.constant('atLeast' as const), count: fc.nat(3), of: fc.array(tie('trigger'), { maxLength: 3 }) }),
  ),
}));
const what: fc.Arbitrary<Do> = fc.oneof(
  fc.record({ level: fc.constant('services' as const), name, verb: fc.constantFrom(...SERVICE_VERBS, 'switch' as const) }),
  fc.record({
    level: fc.constant('instances' as const),
    subject,
    verb: fc.constantFrom('launch', 'start', 'stop', 'reboot', 'terminate'),
  }),
  fc.record({
    level: fc.constant('instances' as const),
    subject,
    verb: fc.constant('bootstrap' as const),
    upTo: fc.constantFrom(...INSTANCE_RUNGS),
  }),
);
const lane = fc.oneof(
  name.map(serviceKey),
  name.map(clusterKey),
  fc.tuple(name, providerId).map(([cloud, id]) => instanceKey(cloud, id)),
  fc.tuple(name, ip).map(([cloud, at]) => wantedKey(cloud, at)),
);

test('any action that is written and read again is the same step', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ lane, when: trigger, do: what })), (all) => {
      const written = write(fromActions(all.map((step) => action(step))));
      expect(toSteps(read(written, { kind: 'actions' }), { cloud: 'another' })).toEqual(all);
    }),
  );
});
