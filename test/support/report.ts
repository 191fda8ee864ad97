import Table from 'cli-table3';
import type { View } from 'fleetbeat';
import type { Stretch } from './journaling-writer.ts';
import type { Shop } from './shop.ts';

/** What became of one breakage. */
export interface Report {
  readonly what: string;
  readonly seen: readonly Sighting[];
  /** The calls that were made and accepted. */
  readonly done: readonly string[];
  /** What was not done, and why. */
  readonly refused: readonly string[];
  readonly writes: Stretch;
  /** How many of all writes that were ever acknowledged are missing on the master. */
  readonly lost: number;
}

/** By which view, and when, something was noticed. */
export interface Sighting {
  readonly view: View;
  /** In how many beats from the breakage on, were each of them as long as one that nobody called for. */
  readonly beats: number;
  readonly ms: number;
}

/** Listens to a fleet from one breakage on. */
export interface Reporter {
  /** Notes the first view that says so; null as long as none has. */
  note(isSeen: (view: View) => boolean): Sighting | null;
  refused(): readonly string[];
  /** What has come of it; nothing is listened to any more. */
  end(): Pick<Report, 'what' | 'seen' | 'done' | 'refused'>;
}

/** The states in which a recovery would be wanted and is not made. */
const NOT_DONE: ReadonlySet<string> = new Set(['waiting', 'held-down', 'gave-up']);

export function reportOf({ fleet, climb }: Shop, what: string): Reporter {
  const from = performance.now();
  const all: Sighting[] = [];
  const noted = new Set<Sighting>();
  const refused = new Set<string>();
  const listening = [
    fleet.on('changed', ({ to: view }) => {
      const ms = performance.now() - from;
      all.push({ view, beats: Math.ceil(ms / climb.beatMs(0)), ms });
    }),
    fleet.on('action', ({ do: { verb }, lane, history, status }) => {
      const { code, message, outcome } = history.at(-1) ?? {};
      if (status !== 'done' && outcome === 'failed') refused.add(`${verb} of ${lane}: ${code} ${message}`);
    }),
    fleet.on('recovery', ({ key, state, reason }) => {
      if (NOT_DONE.has(state)) refused.add(`recovery of ${key} ${state}: ${reason}`);
    }),
    fleet.on('problem', ({ subject, code, message }) => refused.add(`${subject}: ${code} ${message}`)),
  ];
  return {
    note(isSeen) {
      const sighting = all.find(({ view }) => isSeen(view)) ?? null;
      if (sighting) noted.add(sighting);
      return sighting;
    },
    refused: () => [...refused],
    end() {
      for (const subscription of listening) subscription.unsubscribe();
      const calls = climb.happenings().filter(({ kind, at }) => kind === 'call' && at > from);
      const done = calls.map(({ what: call, name }) => `${call} ${name}`);
      return { what, seen: [...noted].sort((a, b) => a.ms - b.ms), done, refused: [...refused] };
    },
  };
}

/** What became of each breakage, as a table for people. */
export function tableOf(reports: readonly Report[]): string {
  const table = new Table({
    head: ['broken', 'seen', 'done', 'refused', 'writes'],
    colWidths: [22, 54, 24, 60, 26],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { what, seen, done, refused, writes, lost } of reports)
    table.push([what, seen.map(sightingText).join('\n') || 'no', done.join(', '), refused.join('\n'), writesText(writes, lost)]);
  return table.toString();
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const sightingText = ({ view: { name, state, code, reason }, beats, ms }: Sighting): string =>
  `beat ${beats}, ${seconds(ms)}: ${name} ${state} ${code}${reason === undefined ? '' : `, ${reason}`}`;

const writesText = ({ acknowledged, refused, unknown, longestOutageMs }: Stretch, lost: number): string =>
  [
    `${acknowledged} acknowledged`,
    `${lost} lost`,
    `${refused} refused`,
    `${unknown} unknown`,
    `none for ${seconds(longestOutageMs)}`,
  ].join('\n');
