import type { Bill, BillLine, Caller } from '../../domain/bill.ts';
import type { Strain } from '../../domain/budget.ts';
import type { ConfiguredBill } from '../config/bill-fields.ts';
import type { Look } from './look.ts';
import { table } from './table.ts';

/** What is left of one budget. */
export interface BudgetRow {
  readonly cloud: string;
  readonly per: 'hour' | 'day';
  readonly calls: number;
  readonly soft?: number;
  readonly softLeft?: number;
  readonly hard?: number;
  readonly hardLeft?: number;
  readonly strain: Strain;
}

const CALLERS = {
  beat: 'the beat',
  waiting: 'who waits',
  action: 'actions',
  person: 'a person',
} as const satisfies Record<Caller, string>;

const MINUTES = /:\d{2}\.\d{3}Z$/;

/** A bill as a person reads it: what was called, what that comes to, and what may still be called. */
export function billText(bill: Bill, budgets: readonly BudgetRow[], { prices }: ConfiguredBill, look: Look): string {
  const { since, until, lines, calls, cost, forecast, currency } = bill;
  const isPriced = Object.keys(prices).length > 0;
  const money = (amount: number) => (isPriced ? `, ${moneyText(amount, currency)}` : '');
  const timeText = (ms: number) => new Date(ms).toISOString().replace(MINUTES, 'Z');
  const totals = [
    `${timeText(since)} to ${timeText(until)}: ${countText(calls)}${money(cost)}${troubleText(lines)}`,
    `forecast: ${countText(forecast.callsPerDay)}${money(forecast.costPerDay)} a day${money(forecast.costPer30Days)}${isPriced ? ' in 30 days' : ''}`,
    ...(isPriced ? [] : ['no prices are configured: bill.prices says what a call costs']),
  ].join('\n');
  const parts = [
    lines.length === 0 ? 'no calls' : linesTable(lines, currency, isPriced, look),
    totals,
    ...(budgets.length > 0 ? [budgetsTable(budgets, look)] : []),
  ];
  return parts.join('\n\n');
}

const linesTable = (lines: readonly BillLine[], currency: string, isPriced: boolean, look: Look): string =>
  table<BillLine>(
    [
      { title: 'cloud', of: ({ driver }) => driver },
      { title: 'call', of: ({ verb }) => verb },
      { title: 'for', of: ({ caller }) => CALLERS[caller] },
      { title: 'calls', of: ({ calls }) => calls },
      { title: 'throttled', of: ({ throttled }) => throttled, tint: troubleIn(look), spare: 2 },
      { title: 'failed', of: ({ failed }) => failed, tint: troubleIn(look), spare: 2 },
      { title: 'retries', of: ({ retries }) => retries, spare: 3 },
      ...(isPriced ? [{ title: 'cost', of: ({ cost }: BillLine) => moneyText(cost, currency), spare: 1 }] : []),
    ],
    lines,
    look,
  );

const troubleIn =
  ({ paint }: Look) =>
  (text: string): string =>
    text === '0' ? paint.dim(text) : paint.yellow(text);

const budgetsTable = (budgets: readonly BudgetRow[], look: Look): string =>
  table<BudgetRow>(
    [
      { title: 'budget', of: ({ cloud }) => cloud },
      { title: 'in', of: ({ per }) => `this ${per}` },
      { title: 'calls', of: ({ calls }) => calls },
      { title: 'soft limit', of: ({ soft, softLeft }) => limitText(soft, softLeft) },
      { title: 'hard limit', of: ({ hard, hardLeft }) => limitText(hard, hardLeft) },
    ],
    budgets,
    look,
  );

const limitText = (limit: number | undefined, left: number | undefined): string | undefined =>
  limit === undefined || left === undefined ? undefined : left === 0 ? `${limit}, reached` : `${limit}, ${left} left`;

function troubleText(lines: readonly BillLine[]): string {
  const sumOf = (what: 'refused' | 'throttled' | 'failed' | 'retries') => lines.reduce((sum, line) => sum + line[what], 0);
  const told = [
    { count: sumOf('refused'), word: 'refused' },
    { count: sumOf('throttled'), word: 'throttled' },
    { count: sumOf('failed'), word: 'failed' },
    { count: sumOf('retries'), word: 'retries' },
  ].filter(({ count }) => count > 0);
  return told.length === 0 ? '' : ` (${told.map(({ count, word }) => `${count} ${word}`).join(', ')})`;
}

const countText = (calls: number): string => `${calls} ${calls === 1 ? 'call' : 'calls'}`;

/** Calls cost fractions of a cent each: what is small is told to more digits. */
const moneyText = (amount: number, currency: string): string =>
  `${amount.toFixed(amount === 0 || amount >= 1 ? 2 : amount >= 0.01 ? 4 : 6)} ${currency}`;
