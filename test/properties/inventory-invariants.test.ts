import fc from 'fast-check';
import {
  asInstant,
  type Change,
  type EntityKey,
  INSTANCE_RUNGS,
  type Instant,
  type Inventory,
  type Ip,
  instanceKey,
  SERVICE_RUNGS,
  type Trigger,
  type View,
} from 'fleetbeat';
import { expect, test } from 'vitest';
import { judge } from '../../src/domain/trigger.ts';
import { EVERY_MS, type Happening, histories, IPS, POLICY, SPEAKERS, stage, viewsOf } from './inventory-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

/** An inventory just after something has happened to it. */
interface Scene {
  readonly inventory: Inventory;
  readonly happening: Happening;
  readonly changes: readonly Change[];
  readonly now: Instant;
  readonly views: ReadonlyMap<EntityKey, View>;
  /** What it believed before. */
  readonly past: ReadonlyMap<EntityKey, View>;
  readonly disputed: ReadonlySet<Ip>;
}

/** Plays random histories and looks at each scene; what a watcher remembers is of one history. */
function always(watcher: () => (scene: Scene) => void): void {
  fc.assert(
    fc.property(histories, (history) => {
      const play = stage();
      const { inventory } = play;
      const watch = watcher();
      for (const happening of history) {
        const past = viewsOf(inventory);
        const disputed = new Set(IPS.filter((ip) => inventory.atIp(ip) === 'conflict'));
        const changes = play.happen(happening);
        watch({ inventory, happening, changes, now: play.now, views: viewsOf(inventory), past, disputed });
      }
    }),
    RUNS,
  );
}

/** The instances that a heartbeat of the cloud lists; null where something else has happened. */
const listedBy = (happening: Happening) =>
  happening.is === 'beat' && happening.beat.source === 'cloud' ? (happening.beat.instances ?? []) : null;

test(
  'an address belongs to the one instance that has it, or is in conflict',
  () =>
    always(() => ({ inventory, views }) => {
      for (const ip of IPS) {
        const tenants = [...views.values()].filter((view) => view.level === 'instances' && view.ip === ip);
        const here = inventory.atIp(ip);
        if (tenants.length === 1) expect(typeof here === 'object' && here.key).toBe(tenants[0]?.key);
        else expect(here).toBe(tenants.length === 0 ? 'none' : 'conflict');
      }
    }),
  PATIENCE_MS,
);

test(
  'whoever has looked at an entity before sees it as it is now',
  () =>
    always(() => ({ inventory, views }) => {
      for (const [key, view] of views) {
        expect(inventory.get(key)).toEqual(view);
        const here = view.level === 'instances' && view.ip !== null ? inventory.atIp(view.ip) : 'none';
        if (typeof here === 'object' && here.key === key) expect(here).toEqual(view);
      }
    }),
  PATIENCE_MS,
);

test(
  'an address that comes into conflict is told of for everybody at it',
  () =>
    always(() => ({ inventory, changes, views, disputed }) => {
      for (const ip of IPS) {
        if (disputed.has(ip) || inventory.atIp(ip) !== 'conflict') continue;
        const tenants = [...views.values()].filter((view) => view.level === 'instances' && view.ip === ip);
        const told = changes.filter(({ kind }) => kind === 'conflict').map(({ key }) => key);
        expect(told).toEqual(expect.arrayContaining(tenants.map(({ key }) => key)));
      }
    }),
  PATIENCE_MS,
);

test(
  'what is terminated or gone owns no address',
  () =>
    always(() => ({ views }) => {
      for (const view of views.values()) if (view.state === 'terminated' || view.gone) expect(view.ip).toBeNull();
    }),
  PATIENCE_MS,
);

test(
  'an instance that reports no address keeps its last one while nobody else reports it',
  () =>
    always(() => ({ happening, past, views, disputed }) => {
      const listed = listedBy(happening);
      for (const { cloud, id, ip, power } of listed ?? []) {
        const key = instanceKey(cloud, id ?? '');
        const last = past.get(key)?.ip ?? null;
        if (ip !== null || last === null || disputed.has(last) || power?.state === 'terminated') continue;
        const isTaken = listed?.some((other) => other.id !== id && other.ip === last);
        if (!isTaken) expect(views.get(key)?.ip).toBe(last);
      }
    }),
  PATIENCE_MS,
);

test(
  'every entity is seen once',
  () =>
    always(() => ({ inventory }) => {
      const keys = [...inventory.views()].map(({ key }) => key);
      expect(keys).toEqual([...new Set(keys)]);
      expect(inventory.size).toBe(keys.length);
      for (const key of keys) expect(inventory.get(key)?.key).toBe(key);
    }),
  PATIENCE_MS,
);

test(
  'a rung that holds, holds with all below it',
  () =>
    always(() => ({ views }) => {
      for (const { level, holds } of views.values()) {
        const rungs: readonly string[] = level === 'instances' ? ['running', ...INSTANCE_RUNGS] : SERVICE_RUNGS;
        const top = rungs.findLastIndex((rung) => holds.has(rung));
        expect(rungs.filter((rung) => holds.has(rung))).toEqual(rungs.slice(0, top + 1));
      }
    }),
  PATIENCE_MS,
);

test(
  'what one source says of an entity never rests on an older reading than before',
  () =>
    always(() => ({ past, views }) => {
      for (const [key, view] of views) {
        const before = past.get(key);
        if (before && before.source === view.source) expect(view.readAt).toBeGreaterThanOrEqual(before.readAt);
      }
    }),
  PATIENCE_MS,
);

test(
  'a source that has been silent for some of its intervals leaves its entities unknown',
  () =>
    always(() => {
      const heardAt = new Map<string, Instant>();
      return ({ happening, now, views }) => {
        if (happening.is === 'beat') heardAt.set(happening.beat.source, now);
        for (const view of views.values()) {
          const at = view.source === 'cloud' || view.source === 'probe' ? heardAt.get(view.source) : undefined;
          if (at === undefined || view.gone || now - at <= EVERY_MS * POLICY.silentIntervals) continue;
          expect(view.state).toBe('unknown');
          expect([...view.holds]).toEqual(['unknown']);
        }
      };
    }),
  PATIENCE_MS,
);

test(
  'an instance is gone after as many complete readings in a row without it as are tolerated, not before',
  () =>
    always(() => {
      const missed = new Map<EntityKey, number>();
      return ({ happening, past, views }) => {
        const listed = listedBy(happening);
        if (!listed || happening.is !== 'beat') return;
        const powers = new Map(listed.map(({ cloud, id, power }) => [instanceKey(cloud, id ?? ''), power?.state]));
        for (const [key, view] of views) {
          if (view.source !== 'cloud') continue;
          const isAlive = powers.has(key) && powers.get(key) !== 'terminated';
          const isNew = past.get(key)?.source !== 'cloud';
          const before = isNew || isAlive ? 0 : (missed.get(key) ?? 0);
          missed.set(key, isAlive || !happening.beat.isComplete ? before : before + 1);
          expect(view.gone).toBe((missed.get(key) ?? 0) >= POLICY.tolerance);
        }
      };
    }),
  PATIENCE_MS,
);

test(
  'a host is believed for services on its own addresses alone, and for no instance that a driver of ours speaks for',
  () =>
    always(() => ({ happening, changes, past, views }) => {
      if (happening.is !== 'beat' || SPEAKERS[happening.beat.source].isOwn) return;
      const own: readonly Ip[] = SPEAKERS[happening.beat.source].ips ?? [];
      const silenced = new Set(changes.filter(({ kind }) => kind === 'silent').map(({ key }) => key));
      for (const [key, { level, ip, ...view }] of views) {
        const before = past.get(key);
        const isForeign = level === 'services' ? ip === null || !own.includes(ip) : before?.source === 'cloud';
        if (!before || !isForeign || silenced.has(key)) continue;
        const facts = ({ state, code, mark, readAt, source }: Omit<View, 'level' | 'ip'>) => ({
          state,
          code,
          mark,
          readAt,
          source,
        });
        expect(facts(view)).toEqual(facts(before));
      }
    }),
  PATIENCE_MS,
);

const WORDS = ['running', 'managed', 'stopped', 'up', 'known'];

const lasting = (view: View, state: string, forMs: number): Trigger => ({
  on: 'holds',
  level: view.level,
  subject: { key: view.key },
  state,
  ...(forMs === 0 ? {} : { forMs }),
});

test(
  'what must have held for a while holds only after it was seen to hold for so long without a break',
  () =>
    always(() => {
      const since = new Map<string, Instant>();
      const sources = new Map<EntityKey, string | null>();
      return ({ inventory, happening, now, views }) => {
        const interrupted =
          happening.is === 'blind'
            ? happening.source
            : happening.is === 'beat' && happening.beat.isRestarted
              ? happening.beat.source
              : null;
        for (const [key, view] of views) {
          const isOneTale = !sources.has(key) || sources.get(key) === view.source || sources.get(key) === null;
          sources.set(key, isOneTale ? view.source : 'several');
          for (const word of isOneTale ? WORDS : []) {
            const tale = `${key} ${word}`;
            if (!view.holds.has(word) || view.source === interrupted) since.delete(tale);
            if (view.holds.has(word) && happening.is !== 'blind' && !since.has(tale)) since.set(tale, view.readAt);
            for (const forMs of [1000, 5000, 15_000]) {
              const at = { now, armedAt: asInstant(0), policy: { freshMs: 0 } };
              if (!judge(lasting(view, word, forMs), inventory, at).holds) continue;
              expect(view.readAt - (since.get(tale) ?? view.readAt)).toBeGreaterThanOrEqual(forMs);
            }
          }
        }
      };
    }),
  PATIENCE_MS,
);

test(
  'nothing holds by the word of a source that is blind',
  () =>
    always(() => ({ inventory, happening, now, views }) => {
      if (happening.is !== 'blind') return;
      for (const view of views.values()) {
        if (view.source !== happening.source) continue;
        for (const word of view.holds)
          expect(judge(lasting(view, word, 0), inventory, { now, armedAt: asInstant(0), policy: { freshMs: 1e9 } }).holds).toBe(
            false,
          );
      }
    }),
  PATIENCE_MS,
);
