import * as fc from 'fast-check';
import {
  asInstant,
  createInventory,
  type Following,
  type InstanceFacts,
  type Ip,
  type Power,
  parseIp,
  type Service,
  type ServiceFacts,
  type SshAnswer,
} from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import type { KindTraits } from '../../src/domain/cluster.ts';
import { lookAtLoss, remedyFor, testimoniesOf } from '../../src/domain/failover.ts';
import { isFenced } from '../../src/domain/fence.ts';

const ip = (text: string): Ip => parseIp(text) ?? expect.unreachable(text);
const KINDS: ReadonlyMap<string, KindTraits> = new Map([
  ['mariadb', { host: 'managed', rungs: ['installed', 'up', 'replicating'], isSwitched: true, canFailOver: true }],
]);
const database = (n: number): Service => ({
  name: `db${n}`,
  ip: ip(`10.0.0.${n}`),
  mode: 'mariadb',
  status: n === 1 ? 'master' : 'slave',
  cluster: 'shop',
  settings: undefined,
});
const SERVICES = [1, 2, 3].map(database);
const [MASTER] = SERVICES as [Service];

interface Seen {
  /** Of the master's instance; null where no provider lists it. */
  readonly power: Power | null;
  readonly ssh: SshAnswer;
  /** The code of the master's probe; null where it was not asked. */
  readonly code: string | null;
  readonly followers: readonly (Following | null)[];
}

const HEARD = { hears: true, isFit: true };
const MISSED = { hears: false, isFit: true };
const CONNECTING = { hears: null, isFit: true };
const LOST: Seen = { power: 'running', ssh: 'timeout', code: 'ER0003', followers: [MISSED, MISSED] };

/** The cluster as it was seen: well at first, then so. */
function seeing({ power, ssh, code, followers }: Seen, witnesses = 3) {
  const ladders = new Map([...KINDS].map(([mode, { rungs }]) => [mode, { rungs }]));
  const inventory = createInventory({ services: SERVICES, ladders });
  let seq = 0;
  const tell = (what: Pick<Seen, 'power' | 'ssh' | 'code' | 'followers'>) => {
    const readAt = asInstant(++seq);
    const instances = SERVICES.flatMap((one, i): readonly InstanceFacts[] => {
      const own = i > 0 ? 'running' : what.power;
      if (own === null) return [];
      const shared = {
        cloud: 'c',
        id: one.name,
        ip: one.ip,
        power: { state: own, raw: own },
        binaries: '1',
        agent: true,
        readAt,
      };
      return [{ ...shared, ssh: i > 0 ? 'up' : what.ssh }];
    });
    const services = SERVICES.flatMap((one, i): readonly ServiceFacts[] => {
      const its = i > 0 ? '000000' : what.code;
      if (its === null) return [];
      const following = i > 0 ? (what.followers[i - 1] ?? null) : null;
      const isUp = its === '000000';
      const holds = { installed: true, up: isUp, replicating: isUp && following?.hears !== false };
      return [{ name: one.name, readAt, code: its, holds, ...(following && { following }) }];
    });
    const beat = { source: 'test', epoch: 'e', seq };
    inventory.apply({ ...beat, instances: { items: instances, readAt, complete: true, problems: [] } }, readAt);
    inventory.apply({ ...beat, seq: ++seq, services: { items: services, readAt, complete: true, problems: [] } }, readAt);
  };
  if (code !== null) tell({ power: 'running', ssh: 'up', code: '000000', followers: [HEARD, HEARD] });
  for (let n = 0; n < 3; n++) tell({ power, ssh, code, followers });
  return { inventory, services: SERVICES, kinds: KINDS, policy: { witnesses } };
}

const says = (seen: Seen) =>
  Object.fromEntries(
    testimoniesOf(MASTER, seeing(seen)).map(({ witness, says: word, seen: what }) => [witness, `${word}: ${what}`]),
  );

describe('a witness', () => {
  test.each<[Partial<Seen>, object]>([
    [{}, { provider: 'nothing: running', ssh: 'lost: timeout', replicas: 'lost: not heard by db2, db3' }],
    [{ power: 'stopped' }, { provider: 'lost: stopped', ssh: 'nothing: not tried' }],
    [{ power: null }, { provider: 'lost: it is gone', ssh: 'nothing: not tried' }],
    [{ ssh: 'silent' }, { ssh: 'lost: silent' }],
    [{ ssh: 'refused' }, { ssh: 'nothing: refused' }],
    [{ ssh: 'host-key-changed' }, { ssh: 'nothing: host-key-changed' }],
    [{ ssh: 'up' }, { ssh: 'nothing: its host answers' }],
    [{ code: '000000' }, { sql: 'there: replicating' }],
    [{ code: 'ER0270' }, { sql: 'there: failing' }],
    [{ code: 'ER0023' }, { sql: 'lost: stopped' }],
    [{ followers: [MISSED, HEARD] }, { replicas: 'there: heard by db3' }],
    [{ followers: [CONNECTING, MISSED] }, { replicas: 'lost: not heard by db3' }],
    [{ followers: [CONNECTING, null] }, { replicas: 'nothing: none can say' }],
    [{ followers: [null, MISSED] }, { replicas: 'lost: not heard by db3' }],
    [{ followers: [null, null] }, { replicas: 'nothing: none can say' }],
  ])('of a master of which is seen %j says what that is worth', (seen, told) => {
    expect(says({ ...LOST, ...seen })).toMatchObject(told);
  });
});

describe('a master', () => {
  const seen: fc.Arbitrary<Seen> = fc.record({
    power: fc.constantFrom<(Power | null)[]>('running', 'stopped', 'terminated', 'unknown', null),
    ssh: fc.constantFrom<SshAnswer[]>('up', 'refused', 'timeout', 'silent', 'auth-failed', 'host-key-changed'),
    code: fc.constantFrom('000000', 'ER0003', 'ER0023', 'ER0200', 'ER0270', null),
    followers: fc.tuple(
      ...[0, 1].map(() => fc.constantFrom<(Following | null)[]>(HEARD, MISSED, CONNECTING, { hears: false, isFit: false }, null)),
    ),
  });

  test('is lost only where as many witnesses say so as are wanted, and nobody hears it', () => {
    fc.assert(
      fc.property(seen, fc.integer({ min: 1, max: 4 }), (what, witnesses) => {
        const around = seeing(what, witnesses);
        const all = testimoniesOf(MASTER, around);
        const lost = all.filter(({ says: word }) => word === 'lost').length;
        const isHeard = what.code === '000000' || what.code === 'ER0270' || what.followers.some((one) => one?.hears);
        expect(lookAtLoss(MASTER, around).isConfirmed).toBe(lost >= witnesses && !isHeard);
      }),
    );
  });

  test('is replaced only where it is lost, by the first that could take its place, and started or waited for elsewhere', () => {
    fc.assert(
      fc.property(seen, (what) => {
        const around = seeing(what);
        const { isConfirmed, isOpen } = lookAtLoss(MASTER, around);
        const fit = SERVICES.slice(1).filter((_, i) => what.followers[i]?.hears === false && what.followers[i]?.isFit);
        const host = around.inventory.atIp(MASTER.ip);
        const isHostUp = typeof host === 'object' && host.holds.has('running');
        const is = isConfirmed && fit[0] ? 'failover' : isOpen && !isHostUp ? 'wait' : 'start';
        expect(remedyFor(MASTER, around)).toMatchObject(is === 'failover' ? { is, to: fit[0] } : { is });
      }),
    );
  });

  test('is fenced for certain only where its provider says off, or its own host that there is no such process', () => {
    const fenced = (what: Partial<Seen>) => {
      const around = seeing({ ...LOST, ...what });
      return isFenced(MASTER, around);
    };
    expect(fenced({})).toBe(false);
    expect(fenced({ power: 'stopping' })).toBe(false);
    expect(fenced({ power: 'unknown' })).toBe(false);
    expect(fenced({ power: 'stopped' })).toBe(true);
    expect(fenced({ power: 'terminated' })).toBe(true);
    expect(fenced({ power: null })).toBe(true);
    expect(fenced({ code: 'ER0023' })).toBe(false);
    expect(fenced({ ssh: 'up', code: 'ER0023' })).toBe(true);
    expect(fenced({ ssh: 'up', code: 'ER0024' })).toBe(true);
    expect(fenced({ ssh: 'up', code: 'ER0003' })).toBe(false);
  });
});
