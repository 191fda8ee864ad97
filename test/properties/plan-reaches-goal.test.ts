import fc from 'fast-check';
import { type Command, serviceKey, type View } from 'fleetbeat';
import { expect, test } from 'vitest';
import { FLEET_RUNS, PATIENCE_MS } from './runs.ts';
import { commands, play, topRungOf, worlds } from './small-world.ts';

/** Twenty minutes: more than the slowest way to a service on an obedient cloud takes. */
const MOST_BEATS = 300;

const byIp = (views: readonly View[], ip: string): View | undefined =>
  views.find((view) => view.level === 'instances' && view.ip === ip);

const ipOf = (views: readonly View[], group: string): string | undefined =>
  group.startsWith('10.') ? group : (views.find((view) => view.name === group)?.ip ?? undefined);

/** Whether what the command asked for is so now, by what is believed before and after. */
function isReached({ level, action, group }: Command, before: readonly View[], after: readonly View[]): boolean {
  const ip = ipOf(before, group) ?? ipOf(after, group);
  const host = ip === undefined ? undefined : byIp(after, ip);
  const one = after.find((view) => view.level === level && view.name === group);
  if (level === 'instances') {
    const target = one ?? host;
    switch (action) {
      case 'launch':
      case 'start':
        return host?.holds.has('running') === true;
      case 'stop':
        return target?.state === 'stopped';
      case 'terminate':
        return target === undefined || target.gone || target.state === 'terminated';
      case 'reboot':
        return target?.holds.has('running') === true && target.mark !== before.find(({ key }) => key === target.key)?.mark;
      default:
        return target?.holds.has(action === 'bootstrap_ncc' ? 'managed' : 'bootstrapped') === true;
    }
  }
  const was = before.find(({ key }) => key === serviceKey(group));
  switch (action) {
    case 'start':
      return one?.holds.has(topRungOf(group)) === true;
    case 'install':
      return one?.holds.has('installed') === true;
    case 'stop':
      return one?.holds.has('up') !== true;
    case 'remove':
      return one?.state === 'uninstalled';
    case 'restart':
      return one?.holds.has('up') === true && one.mark !== was?.mark;
    case 'bootstrap_config':
      return one?.holds.has('installed') === true && (was?.holds.has('up') !== true || one.holds.has('up'));
    case 'sync':
      return one?.holds.has('replicating') === true;
    default:
      return byIp(after, one?.ip ?? '')?.holds.has('managed') === true;
  }
}

/** A bootstrap starts no machine: it waits until somebody does. */
function waitsForAnother({ level, action, group }: Command, views: readonly View[]): boolean {
  if (action !== 'bootstrap_ncc' && action !== 'bootstrap_binaries') return false;
  const ip = level === 'services' ? views.find((view) => view.name === group)?.ip : ipOf(views, group);
  const state = byIp(views, ip ?? '')?.state;
  return state === 'stopped' || state === 'stopping';
}

test(
  'on a cloud that obeys, what a command armed ends done, and what it asked for is so',
  async () => {
    await fc.assert(
      fc.asyncProperty(worlds, commands, fc.nat(20), async (world, command, beats) => {
        const stage = play(world);
        const { simulated } = stage;
        const ends = new Map<string, string>();
        stage.fleet.on('action', ({ token, status }) => ends.set(token, status));
        for (let i = 0; i <= beats; i++) await stage.beat();
        const before = stage.fleet.views();
        const reply = await stage.fleet.dispatch(command);
        const armed = [...reply.started, ...reply.deferred];
        if (waitsForAnother(command, before)) return;
        expect(reply.rejected.length > 0 && armed.length > 0).toBe(false);
        expect(await stage.finish(MOST_BEATS), 'some action never ended').toBe(true);
        await stage.beat();
        expect(armed.map(({ token }) => ends.get(token))).toEqual(armed.map(() => 'done'));
        if (reply.rejected.length === 0) expect(isReached(command, before, stage.fleet.views())).toBe(true);
        const effects = simulated.log
          .filter(({ outcome }) => outcome === 'applied')
          .map(({ token, verb, step, subject }) => `${token} ${verb} ${step} ${subject}`);
        expect(effects).toEqual([...new Set(effects)]);
        await stage.fleet.stop();
      }),
      FLEET_RUNS,
    );
  },
  PATIENCE_MS,
);
