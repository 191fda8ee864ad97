import { type Bill, DAY_MS, HOUR_MS } from '../domain/bill.ts';
import { strainOn } from '../domain/budget.ts';
import { OK } from '../domain/codes.ts';
import { asInstant } from '../domain/identity.ts';
import { fromReply } from '../wire/index.ts';
import type { BillAsked } from './bill-program.ts';
import type { ConfiguredBill } from './config/bill-fields.ts';
import { findConfiguration } from './config/find.ts';
import { openStore } from './config/open-store.ts';
import { readConfiguration } from './config/read.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { refuseMemory } from './lasting-store.ts';
import type { Options } from './options.ts';
import { type BudgetRow, billText } from './render/bill.ts';
import { lookOf } from './render/look.ts';
import type { Terminal } from './terminal.ts';

/** `fleetbeat bill`: what stands in the store. No cloud and no host is asked. */
export async function bill({ sinceMs }: BillAsked, options: Options, terminal: Terminal): Promise<ExitCode> {
  const configuration = await readConfiguration(findConfiguration(terminal.cwd, options.config));
  refuseMemory(configuration, 'bill', 'calls are counted in the process itself alone');
  const [{ createFleet }, store] = await Promise.all([import('../fleet.ts'), openStore(configuration.store)]);
  const now = asInstant(Date.now());
  const fleet = createFleet({ store, bill: configuration.bill, policy: configuration.policy, now: () => now });
  try {
    const [asked, hour, day] = await Promise.all([fleet.bill(sinceMs), fleet.bill(now % HOUR_MS), fleet.bill(now % DAY_MS)]);
    const budgets = budgetRows(configuration.bill.budgets, hour, day);
    const { stdout, env } = terminal;
    const isForPerson = stdout.isTTY === true && !options.json;
    const text = isForPerson
      ? billText(asked, budgets, configuration.bill, lookOf(stdout, env))
      : JSON.stringify({ ...replyAt(now), bill: bodyOf(asked, budgets) });
    stdout.write(`${text}\n`);
    return EXIT.done;
  } finally {
    await fleet.stop();
    await store.close?.();
  }
}

const replyAt = (now: number) =>
  fromReply({ question: { action: 'bill', group: 'all' }, code: OK, at: new Date(now).toISOString() }).body;

const bodyOf = ({ since, until, lines, ...sums }: Bill, budgets: readonly BudgetRow[]) => ({
  since: new Date(since).toISOString(),
  until: new Date(until).toISOString(),
  lines: lines.map(({ driver: cloud, ...line }) => ({ cloud, ...line })),
  ...sums,
  budgets,
});

/** What is left of each budget in this hour and on this day, which end when the clock of UTC says so. */
function budgetRows(budgets: ConfiguredBill['budgets'], hour: Bill, day: Bill): readonly BudgetRow[] {
  const callsOf = ({ lines }: Bill, cloud: string) =>
    lines.reduce((calls, line) => calls + (line.driver === cloud ? line.calls : 0), 0);
  return Object.entries(budgets).flatMap(([cloud, budget]) => {
    const spent = { hour: callsOf(hour, cloud), day: callsOf(day, cloud) };
    return (['hour', 'day'] as const).flatMap((per): readonly BudgetRow[] => {
      const limit = per === 'hour' ? budget.perHour : budget.perDay;
      if (limit === undefined) return [];
      const calls = spent[per];
      const { strain } = strainOn(per === 'hour' ? { perHour: limit } : { perDay: limit }, spent);
      return [{ cloud, per, calls, ...limit, ...leftOf(limit, calls), strain }];
    });
  });
}

const leftOf = ({ soft, hard }: { readonly soft?: number; readonly hard?: number }, calls: number) => ({
  ...(soft !== undefined && { softLeft: Math.max(0, soft - calls) }),
  ...(hard !== undefined && { hardLeft: Math.max(0, hard - calls) }),
});
