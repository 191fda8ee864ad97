import fc from 'fast-check';
import {
  type Action,
  asActionId,
  asInstant,
  asToken,
  CODE_TEXTS,
  type Command,
  INSTANCE_ACTIONS,
  type Known,
  NOW,
  plan,
  SERVICE_ACTIONS,
  type Step,
  serviceKey,
} from 'fleetbeat';
import { expect, test } from 'vitest';
import { INSTANCE_VERBS } from '../../src/domain/instance.ts';
import { SERVICE_VERBS } from '../../src/domain/service.ts';
import { dataOf, histories, IPS, SERVICES, stage } from './inventory-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

const groups = fc.oneof(
  fc.constantFrom('all', 'local', 'node1', 'node2', 'i-1', 'i-2', 'shop', '10.0.0.9', ...IPS),
  fc.string({ maxLength: 8 }),
);

const command: fc.Arbitrary<Command> = fc.record(
  {
    level: fc.constantFrom('instances', 'services', 'services', 'config'),
    action: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...Object.keys(INSTANCE_ACTIONS), ...Object.keys(SERVICE_ACTIONS)) },
      { weight: 1, arbitrary: fc.oneof(fc.constantFrom('__proto__', 'constructor', 'bootstrap'), fc.string({ maxLength: 8 })) },
    ),
    group: groups,
    type: fc.oneof(fc.constantFrom('all', 'db', 'mariadb', 'simulated', 'nosql'), fc.string({ maxLength: 8 })),
    host: fc.record({ ips: fc.subarray(IPS) }),
  },
  { requiredKeys: ['level', 'action', 'group'] },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .record({ verb: fc.constantFrom(...SERVICE_VERBS), name: fc.constantFrom(...SERVICES.map(({ name }) => name)) })
    .map(({ verb, name }): Step => ({ lane: serviceKey(name), when: NOW, do: { level: 'services', name, verb } })),
  fc
    .record({ verb: fc.constantFrom(...INSTANCE_VERBS), ip: fc.constantFrom(...IPS), name: fc.constantFrom('node1', 'node2') })
    .map(
      ({ verb, ip, name }): Step => ({
        lane: serviceKey(name),
        when: NOW,
        do: { level: 'instances', subject: { ip }, verb },
      }),
    ),
);

const actions = fc
  .array(fc.tuple(step, fc.constantFrom<Action['status']>('waiting', 'dispatching', 'backing-off', 'failed')), { maxLength: 6 })
  .map((list) =>
    list.map(
      ([one, status], i): Action => ({
        ...one,
        id: asActionId(`action-${i}`),
        token: asToken(`action-${i}.1`),
        order: i,
        armedAt: asInstant(0),
        expiresAt: null,
        onExpire: 'drop',
        status,
        attempts: 0,
        begun: null,
        history: [],
      }),
    ),
  );

const kinds: Known['kinds'] = new Map([
  ['mariadb', { host: 'managed', rungs: ['installed', 'up', 'replicating', 'routed'], isConfigured: true }],
]);

const known = fc
  .record({ history: histories, cloud: fc.constantFrom(null, 'simulated'), hasKinds: fc.constantFrom(true, true, false) })
  .map(({ history, cloud, hasKinds }): Known => {
    const play = stage();
    for (const happening of history) play.happen(happening);
    const services = SERVICES.map((service) => ({ ...service, cluster: 'shop' }));
    return { inventory: play.inventory, services, kinds: hasKinds ? kinds : new Map(), cloud };
  });

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}

const picture = ({ inventory }: Known): readonly unknown[] =>
  [...inventory.views()].map(dataOf).sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

test(
  'every command comes to a plan in every fleet, the same when asked again, and changes nothing',
  () => {
    fc.assert(
      fc.property(command, known, actions, (asked, fleet, armed) => {
        const before = picture(fleet);
        frozen([asked, fleet.services, armed]);
        const planned = plan(asked, fleet, armed);
        expect(plan(asked, fleet, armed)).toEqual(planned);
        expect(picture(fleet)).toEqual(before);
        expect(Object.keys(CODE_TEXTS)).toContain(planned.code);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'a plan arms steps in the lanes of its targets, and nothing for a target that it refuses',
  () => {
    fc.assert(
      fc.property(command, known, actions, (asked, fleet, armed) => {
        const { targets, steps, rejected, cancels } = plan(asked, fleet, armed);
        const refused = new Set<string>(rejected.map(({ subject }) => subject));
        const lanes = new Set(targets.map(({ key }) => key));
        for (const { lane } of steps) {
          expect(lanes).toContain(lane);
          expect(refused).not.toContain(lane);
        }
        if (steps.length === 0 && rejected.length === targets.length && rejected.length > 0) expect(cancels).toEqual([]);
        for (const { key, code } of targets) expect(rejected.some(({ subject }) => subject === key)).toBe(isRefusal(code));
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

const isRefusal = (code: string): boolean => !['000000', 'ER0016', 'ER0017'].includes(code);

test(
  'what a plan waits for is no state that it was planned from',
  () => {
    fc.assert(
      fc.property(command, known, (asked, fleet) => {
        const [first] = plan(asked, fleet, []).steps;
        if (first?.when.on !== 'holds') return;
        const { subject, state } = first.when;
        const view = 'key' in subject ? fleet.inventory.get(subject.key) : fleet.inventory.atIp(subject.ip);
        expect(typeof view === 'object' && view.holds.has(state)).toBe(false);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
