import CliTable from 'cli-table3';
import { printable } from '../../wire/refusal.ts';
import type { Look } from './look.ts';

/** One column: its title, and how the text of a cell is coloured once it is safe to show. */
export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | null | undefined;
  readonly tint?: (text: string) => string;
  /** Prose wraps where the terminal is too narrow for it; everything else stays in one piece. Only the last column may. */
  readonly isProse?: boolean;
}

const NOTHING = '-';
const GAP = '  ';
const NARROWEST = 16;

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: GAP,
};

/** A table without borders. Everything in it is made safe to show. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], { paint, columns: room }: Look): string {
  const cells = rows.map((row) => columns.map(({ of }) => shownCell(of(row))));
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...cells.map((cell) => cell[i]?.length ?? 0)));
  const last = widths.pop() ?? 0;
  const left = room - widths.reduce((sum, width) => sum + width + GAP.length, 0);
  const drawn = new CliTable({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    head: columns.map(({ title }) => paint.bold(title)),
    colWidths: [...widths, columns.at(-1)?.isProse ? Math.min(last, Math.max(NARROWEST, left)) : last],
    wordWrap: true,
    wrapOnWordBoundary: true,
  });
  for (const cell of cells) {
    drawn.push(columns.map(({ tint = (text) => text }, j) => tint(cell[j] ?? NOTHING)));
  }
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const shownCell = (value: string | number | null | undefined): string => {
  const text = value === null || value === undefined ? '' : printable(String(value));
  return text === '' ? NOTHING : text;
};
