import { shown } from '../wire/refusal.ts';

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;

/** What {@link parseDuration} takes, for messages. */
export const DURATION_ALLOWED = 'a number and a unit (ms, s, m, h) such as 500ms, 10s or 1.5m, from 1ms to 24h';

const LONGEST_MS = 24 * 3_600_000;

/** The milliseconds of a text such as `10s`; null where it is none, or is out of bounds. */
export function parseDuration(text: string): number | null {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  const unitMs = UNIT_MS.get(unit ?? '');
  if (amount === undefined || unitMs === undefined) return null;
  const ms = Math.round(Number(amount) * unitMs);
  return ms >= 1 && ms <= LONGEST_MS ? ms : null;
}

export const durationRefusal = (option: string, found: string): string =>
  `${option}: found ${shown(found)}, allowed: ${DURATION_ALLOWED}`;

/** Milliseconds as a person reads them: `850 ms`, `12 s`, `3 min 05 s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

const AGE_UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
];

/** How old something is, in a word for a narrow column: `0 s`, `12 s`, `5 min`, `3 h`, `2 d`. */
export function ageText(ms: number): string {
  const [unitMs, unit] = AGE_UNITS.find(([least]) => ms >= least) ?? [1000, 's'];
  return `${Math.floor(Math.max(0, ms) / unitMs)} ${unit}`;
}
