import { stripVTControlCharacters } from 'node:util';
import type { Output } from '../terminal.ts';

/** A part of the terminal that is drawn anew in place, beneath lines that stay. */
export interface LiveRegion {
  /** Writes a line that stays, above the region. */
  log(line: string): void;
  draw(lines: readonly string[]): void;
  /** Leaves the last drawing where it is, and gives the cursor back. */
  close(): void;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_DOWN = '\u001b[J';
const up = (lines: number): string => (lines === 0 ? '\r' : `\r\u001b[${lines}A`);

/** Where the output is no terminal, only the lines that stay are written. */
export function liveRegion(output: Output): LiveRegion {
  if (output.isTTY !== true) return { log: (line) => output.write(`${line}\n`), draw: () => {}, close: () => {} };
  let drawn: readonly string[] = [];
  let isOpen = true;
  const showCursor = () => output.write(SHOW_CURSOR);
  // A crash must not leave the user without a cursor.
  process.once('exit', showCursor);
  output.write(HIDE_CURSOR);

  const redraw = (above: string, lines: readonly string[]): void => {
    const { columns = 80, rows = 24 } = output;
    const fitting = lines.slice(0, rows - 1).map((line) => cut(line, columns));
    output.write(`${up(drawn.length)}${CLEAR_DOWN}${above}${fitting.map((line) => `${line}\n`).join('')}`);
    drawn = fitting;
  };

  return {
    log(line) {
      redraw(`${cut(line, output.columns ?? 80)}\n`, drawn);
    },
    draw: (lines) => redraw('', lines),
    close() {
      if (!isOpen) return;
      isOpen = false;
      process.off('exit', showCursor);
      showCursor();
    },
  };
}

/** A line that is too long would wrap, and the next drawing begin in the wrong place. */
function cut(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length < columns ? line : `${plain.slice(0, Math.max(0, columns - 2))}…`;
}
