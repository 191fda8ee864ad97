import type { Action } from '../domain/action.ts';
import { textOf } from '../domain/codes.ts';
import { serviceKey } from '../domain/identity.ts';
import type { View } from '../domain/view.ts';
import { SEED_FLEET, type SimulatedService } from '../testing/index.ts';
import { fromViews } from '../wire/index.ts';
import { durationText } from './duration.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { DemoOptions } from './options.ts';
import { exitOf, outcomeOf } from './outcome.ts';
import { documentText } from './render/document.ts';
import { ladderLines, rungLine, rungsReached } from './render/ladder.ts';
import { liveRegion } from './render/live-region.ts';
import { type Look, lookOf } from './render/look.ts';
import { actionLine, narrate } from './render/narration.ts';
import { type Simulation, STEP_MS, simulation } from './simulation.ts';
import type { Terminal } from './terminal.ts';

/** A replica on the one instance of the seed's fleet that is stopped and has an address. */
const NEW_SERVICE: SimulatedService = {
  name: 'node13',
  ip: '10.0.0.209',
  mode: 'mariadb',
  status: 'slave',
  state: 'uninstalled',
};

/** It ends by itself, whatever the faults: at the usual speed well within half a minute. */
const LONGEST_MS = 270_000;

/** `fleetbeat demo`: the seed's sample fleet, simulated, and one command whose actions have to wait. */
export async function demo({ speed, seed, faults }: DemoOptions, terminal: Terminal): Promise<ExitCode> {
  const { stdout, env, interrupted } = terminal;
  const look = lookOf(stdout, env);
  const world = { instances: SEED_FLEET.instances, services: [...SEED_FLEET.services, NEW_SERVICE] };
  const simulated = await simulation(world, { seed, faults });
  stdout.write(`${introduction(speed, look)}\n`);
  const region = liveRegion(stdout);
  try {
    await simulated.fleet.beat();
    const startedAt = simulated.now();
    const tell = (line: string) =>
      region.log(`${look.paint.dim(`+${durationText(simulated.now() - startedAt)}`.padEnd(14))} ${line}`);
    const tellRungs = (views: { readonly from: View | null; readonly to: View }) => {
      if (views.to.ip === NEW_SERVICE.ip) for (const rung of rungsReached(views)) tell(rungLine(rung, look.paint));
    };
    for (const to of simulated.fleet.views()) tellRungs({ from: null, to });
    narrate(simulated.fleet, tell, look.paint);
    simulated.fleet.on('changed', tellRungs);
    const { started, deferred, code } = await simulated.fleet.dispatch({
      level: 'services',
      action: 'start',
      group: NEW_SERVICE.name,
    });
    tell(`the reply: ${look.paint.bold(code)} ${textOf(code)}`);
    const over = new AbortController();
    const drawing = {
      ...simulated.fleet,
      async beat() {
        const changes = await simulated.fleet.beat();
        region.draw(picture(simulated, startedAt, look));
        if (simulated.now() - startedAt >= LONGEST_MS) over.abort();
        return changes;
      },
    };
    const actions = await outcomeOf(
      [...started, ...deferred],
      { ...simulated, fleet: drawing },
      { everyMs: STEP_MS / speed, until: AbortSignal.any([interrupted, over.signal]) },
    );
    region.draw(picture(simulated, startedAt, look));
    region.close();
    if (interrupted.aborted) return EXIT.deferred;
    stdout.write(`\n${ending(actions, simulated, startedAt, look)}\n`);
    return exitOf(actions);
  } finally {
    region.close();
    await simulated.fleet.stop();
  }
}

const introduction = (speed: number, { paint }: Look): string =>
  [
    `${paint.bold('fleetbeat demo')}: the seed's sample fleet and a replica that is not there yet, simulated, ${speed} times as fast.`,
    `Nothing outside this process is touched. One command, and the heartbeats release what waits for them:`,
    '',
    `  $ fleetbeat services start ${NEW_SERVICE.name}`,
    '',
  ].join('\n');

/** What the terminal shows at this moment: the ladder, and the lane of the command. */
function picture({ fleet, latest, now }: Simulation, startedAt: number, { paint }: Look): readonly string[] {
  const lane = serviceKey(NEW_SERVICE.name);
  const views = fleet.views();
  const instance = views.find((view) => view.level === 'instances' && view.ip === NEW_SERVICE.ip);
  const service = views.find((view) => view.key === lane);
  const actions = [...latest.values()].filter((action) => action.lane === lane).sort((a, b) => a.order - b.order);
  return [
    '',
    `  ${paint.bold(`the ladder of ${NEW_SERVICE.name}`)}   ${paint.dim(`fleet's clock +${durationText(now() - startedAt)}`)}`,
    ...ladderLines(instance, service, startedAt, paint),
    '',
    `  ${paint.bold(`lane ${lane}`)}`,
    ...actions.map((action) => `  ${actionLine(action, paint)}`),
  ];
}

function ending(actions: readonly Action[], { fleet, now }: Simulation, startedAt: number, look: Look): string {
  const heartbeat = fromViews(fleet.views(), { source: 'demo', epoch: 'demo', seq: 0, at: now() });
  const took = durationText(now() - startedAt);
  const { paint } = look;
  const trouble = () => actions.filter((action) => action.status !== 'done').map((action) => `\n  ${actionLine(action, paint)}`);
  const ends: Readonly<Record<ExitCode, () => string>> = {
    [EXIT.done]: () => `${paint.green('✔')} ${NEW_SERVICE.name} is routed, after ${took} of the fleet's clock.`,
    [EXIT.deferred]: () =>
      `${paint.yellow('…')} ${NEW_SERVICE.name} is not up after ${took} of the fleet's clock:${trouble().join('')}`,
    [EXIT.failed]: () => `${paint.red('✖')} ${NEW_SERVICE.name} could not be started:${trouble().join('')}`,
    [EXIT.usage]: () => '',
  };
  return `${documentText(heartbeat, look)}\n\n${ends[exitOf(actions)]()}`;
}
