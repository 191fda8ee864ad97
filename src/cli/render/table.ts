import CliTable from 'cli-table3';
import { printable } from '../../domain/printable.ts';
import type { Look } from './look.ts';

/** One column: its title, and how the text of a cell is coloured once it is safe to show. */
export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | null | undefined;
  readonly tint?: (text: string) => string;
  /** Prose wraps where the terminal is too narrow for it; everything else stays in one piece. Only the last column may. */
  readonly isProse?: boolean;
  /** Left out where the terminal is too narrow for all columns; the highest number goes first. */
  readonly spare?: number;
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
export function table<Row>(all: readonly Column<Row>[], rows: readonly Row[], { paint, columns: room }: Look): string {
  const fitting = all.map((column) => fitted(column, rows));
  while (leftOf(fitting, room) < 0) {
    const spare = fitting.findLastIndex(({ column }) => column.spare !== undefined && column.spare === mostSpare(fitting));
    if (spare < 0) break;
    fitting.splice(spare, 1);
  }
  const columns = fitting.map(({ column }) => column);
  const cells = rows.map((_, i) => fitting.map(({ texts }) => texts[i]));
  const widths = fitting.map(({ width }) => width);
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

interface Fitted<Row> {
  readonly column: Column<Row>;
  readonly texts: readonly string[];
  readonly width: number;
}

function fitted<Row>(column: Column<Row>, rows: readonly Row[]): Fitted<Row> {
  const texts = rows.map((row) => shownCell(column.of(row)));
  return { column, texts, width: texts.reduce((most, { length }) => Math.max(most, length), column.title.length) };
}

/** What is left of a line with all of these columns, prose as narrow as it may be. */
const leftOf = (columns: readonly Fitted<never>[], room: number): number =>
  columns.reduce(
    (left, { column, width }, i) => left - (i === 0 ? 0 : GAP.length) - (column.isProse ? Math.min(width, NARROWEST) : width),
    room,
  );

const mostSpare = (columns: readonly Fitted<never>[]): number =>
  columns.reduce((most, { column }) => Math.max(most, column.spare ?? 0), 0);

const shownCell = (value: string | number | null | undefined): string => {
  const text = value === null || value === undefined ? '' : printable(String(value));
  return text === '' ? NOTHING : text;
};
