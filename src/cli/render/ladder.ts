import type { Change, View } from '../../domain/view.ts';
import type { Paint } from './look.ts';

/** One rung of the seed's ladder to a database service. */
interface LadderRung {
  /** The seed's number; a server that answers has none. */
  readonly number: string;
  readonly name: string;
  readonly meaning: string;
  readonly level: View['level'];
  readonly holds: (view: View) => boolean;
}

const word = (number: string, name: string, level: View['level'], meaning: string): LadderRung => ({
  number,
  name,
  meaning,
  level,
  holds: (view) => view.holds.has(name),
});

/** Lowest first. */
const LADDER: readonly LadderRung[] = [
  { number: '1', name: 'launched', meaning: 'an instance with that ip exists', level: 'instances', holds: (view) => !view.gone },
  {
    number: '2',
    name: 'started',
    meaning: 'its power is on',
    level: 'instances',
    holds: (view) => view.raw === 'running' || view.holds.has('running'),
  },
  word('3', 'ssh-up', 'instances', 'ssh answers: it runs'),
  word('4', 'bootstrapped', 'instances', 'the wanted binaries are there'),
  word('5', 'managed', 'instances', "the node's agent runs"),
  word('6', 'installed', 'services', 'the data directory is initialised'),
  word('–', 'up', 'services', 'the server answers its own protocol'),
  word('7', 'replicating', 'services', 'replication runs'),
  word('8', 'routed', 'services', 'proxies and balancers list it'),
];

/** The rungs that a change has reached, lowest first. */
export const rungsReached = ({ from, to }: Pick<Change, 'from' | 'to'>): readonly LadderRung[] =>
  LADDER.filter((rung) => rung.level === to.level && rung.holds(to) && !(from && rung.holds(from)));

export const rungLine = ({ number, name, meaning }: LadderRung, paint: Paint): string =>
  `${paint.green('✔')} rung ${number} ${paint.green(name)}: ${meaning}`;

const NAME_WIDTH = 14;

/** The ladder of a service and its instance, the top rung first, with who climbs it at the first rung that does not hold. */
export function ladderLines(
  instance: View | undefined,
  service: View | undefined,
  startedAt: number,
  paint: Paint,
): readonly string[] {
  const viewOf = (rung: LadderRung) => (rung.level === 'instances' ? instance : service);
  const climbing = LADDER.findIndex((rung) => {
    const view = viewOf(rung);
    return !view || !rung.holds(view);
  });
  const reached = climbing < 0 ? LADDER.length : climbing;
  return LADDER.map((rung, i) => {
    const since = viewOf(rung)?.heldSince.get(rung.name);
    const name = rung.name.padEnd(NAME_WIDTH);
    if (i > reached) return paint.dim(`  ${rung.number} ╟───╢ ${name} ${rung.meaning}`);
    if (i === reached) return `  ${rung.number} ${paint.yellow('╟─●─╢')} ${paint.bold(name)} ${rung.meaning}`;
    const when = since === undefined ? '' : paint.dim(`  after ${Math.max(0, Math.round((since - startedAt) / 1000))} s`);
    return `  ${rung.number} ${paint.green('╟━━━╢')} ${paint.green(name)} ${rung.meaning}${when}`;
  }).reverse();
}
