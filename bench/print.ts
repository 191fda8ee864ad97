import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, totalmem } from 'node:os';
import Table from 'cli-table3';
import type { Figure } from './figure.ts';

/** Writes figures as they come, and what they need to be understood. */
export interface Printer {
  figure(figure: Figure): void;
  end(): void;
}

type Write = (line: string) => void;

/** What was measured, and on what. */
function bench() {
  const [cpu] = cpus();
  return {
    machine: `${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`,
    /** Where it is much more than 0, others were using the machine too. */
    load: Number(loadavg()[0]?.toFixed(1)),
    node: process.version,
    fleetbeat: versionOf('../package.json'),
    xstate: versionOf(createRequire(import.meta.url).resolve('xstate/package.json')),
  };
}

const versionOf = (path: string): string => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;

/** @returns a printer of one JSON object a line: first the machine and the versions, then each figure as it comes */
export function jsonPrinter(write: Write): Printer {
  write(JSON.stringify(bench()));
  return { figure: (figure) => write(JSON.stringify(figure)), end: () => {} };
}

/** @returns a printer that waits until all is measured, and then prints one table */
export function tablePrinter(write: Write): Printer {
  const { machine, load, node, fleetbeat, xstate } = bench();
  write(`${machine}, load ${load}; node ${node}, fleetbeat ${fleetbeat} (dist), xstate ${xstate}`);
  const table = new Table({
    head: ['id', 'what', 'ours', 'peer', 'unit', 'ours/peer', 'goal', 'holds'],
    colAligns: ['left', 'left', 'right', 'right', 'left', 'right', 'left', 'left'],
    style: { head: [], border: [] },
  });
  return {
    figure: ({ id, name, ours, peer, unit, ratio, goal, holds }) =>
      void table.push([
        id,
        name,
        shown(ours),
        shown(peer),
        unit,
        shown(ratio),
        goal ?? '',
        holds === null ? '' : holds ? 'yes' : 'NO',
      ]),
    end: () => write(table.toString()),
  };
}

const shown = (value: number | null): string => (value === null ? '–' : String(value));
