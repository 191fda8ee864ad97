import { isEnded, isLive } from 'fleetbeat';
import { createBook } from './book.ts';
import type { Happening } from './happenings.ts';
import { busyCharts, type Ending, INVARIANTS, isCrowded } from './invariants.ts';
import { beat, type Life } from './life.ts';
import { type Move, moveOf, type Scene, settingOf } from './moves.ts';
import { createNetwork, settled } from './network.ts';
import { createStage } from './stage.ts';
import { describe } from './trace.ts';

/** What broke, and where. */
export interface Breach {
  readonly invariant: string;
  readonly what: string;
  /** After how many moves of the schedule. */
  readonly after: number;
}

/** After the last fault: how often the fleets beat at most until everything has come to rest, and whom nobody needs, seldom. */
const CALM = { beats: 80, everyMs: 3000, restsFor: 2, standbyBeatsEvery: 4 };
/** More answers than any number of beats needs: a fleet that goes on without time passing goes on for ever. */
const ENDLESS = 2000;

/**
 * Plays one schedule: what its numbers say, then a calm in which everything can come to its end.
 *
 * @param trace told of everything that happens, in order; it costs time, so only failures are traced
 * @returns the first invariant that broke, or null
 */
export async function play(numbers: readonly number[], trace: ((line: string) => void) | null = null): Promise<Breach | null> {
  const [first = 0, ...rest] = numbers;
  const setting = settingOf(first);
  const network = createNetwork(trace && ((line) => trace(`${at()}   ${line()}`)));
  const book = createBook();
  let breach: Breach | null = null;
  let moves = 0;
  const stage = createStage(setting, network, tell);
  const watches = INVARIANTS.map((invariant) => ({
    name: invariant.name,
    watch: invariant({ book, policy: stage.policy, isTimely: !setting.isFenced }),
  }));
  const lives: Life[] = [];
  const scene: Scene = { stage, network, setting, lives, tell, book };

  function at(): string {
    return `${String((stage.now() - 1_000_000) / 1000).padStart(8)} s`;
  }

  function tell(happening: Happening): void {
    const text = trace === null ? '' : describe(happening);
    if (text !== '') trace?.(`${at()}     ${text}`);
    for (const { name, watch } of watches) note(name, watch.see?.(happening) ?? null);
    book.take(happening);
  }

  function note(invariant: string, what: string | null): void {
    if (what === null || breach) return;
    breach = { invariant, what, after: moves };
    trace?.(`${at()} ! ${invariant}: ${what}`);
  }

  async function make(move: Move): Promise<void> {
    const text = trace ? move.text() : '';
    if (text !== '') trace?.(`${at()} ${text}`);
    await move.make();
    await settled();
    tell({ is: 'step', lives });
  }

  try {
    for (const host of stage.hosts) lives.push(stage.start(host));
    for (const number of rest) {
      if (breach) break;
      moves++;
      await make(moveOf(number, scene));
    }
    if (!breach) await calm();
  } finally {
    network.close();
    for (const life of lives) void life.fleet.stop();
    await settled();
  }
  return breach;

  async function calm(): Promise<void> {
    trace?.(`${at()} the faults are over`);
    stage.simulated.faults.clear();
    for (const host of stage.hosts) {
      if (!lives.some((life) => life.host === host && life.isAlive)) lives.push(stage.start(host));
    }
    await answerAll();
    const due = new Map<string, number>();
    for (let beats = 0, rest = 0; beats < CALM.beats && rest < CALM.restsFor && !breach; beats++) {
      stage.pass(CALM.everyMs);
      const standsBack = (life: Life) =>
        beats % CALM.standbyBeatsEvery > 0 && life.fleet.role === 'standby' && leader() !== undefined;
      for (const life of lives) if (life.isAlive && !standsBack(life)) beat(life, tell);
      await answerAll();
      tell({ is: 'step', lives });
      countDue(due);
      const isAtRest = ![...book.records()].some(
        (action) => isLive(action) && (action.status !== 'waiting' || due.has(action.token)),
      );
      const led = leader();
      rest = isAtRest && led && busyCharts(led).length === 0 ? rest + 1 : 0;
    }
    const led = leader();
    if (!led) return note('oneLeaderActs', 'nobody leads, long after the last fault');
    const ending: Ending = { leader: led, lives: lives.filter((life) => life.isAlive), due: new Set(longDue(due)) };
    for (const { name, watch } of watches) note(name, watch.end?.(ending) ?? null);
  }

  async function answerAll(): Promise<void> {
    for (let answers = 0; network.pending > 0 && !breach; answers++) {
      if (answers > ENDLESS) return note('noStuckCharts', 'the fleets go on asking, though no time passes');
      await network.deliver(0, 'answered');
    }
  }

  function leader(): Life | undefined {
    return lives.find((life) => life.isAlive && life.fleet.role === 'leader');
  }

  /** Counts for how many beats in a row each action has been due, as its leader can see it. */
  function countDue(due: Map<string, number>): void {
    const led = leader();
    if (!led) return;
    for (const action of book.records()) {
      const isDue =
        !isEnded(action) &&
        action.status === 'waiting' &&
        book.sight(led).holds(action, led.now(), 0) &&
        !isCrowded(action, led, book);
      if (isDue) due.set(action.token, (due.get(action.token) ?? 0) + 1);
      else due.delete(action.token);
    }
  }
}

/** A claim that was lost may keep an action waiting for `claimMs`. */
const longDue = (due: ReadonlyMap<string, number>): readonly string[] =>
  [...due].filter(([, beats]) => beats > 5).map(([token]) => token);
