/** How many calls a provider may get in some time. Past `soft` reads become rarer, past `hard` only those that somebody waits for are made. */
export interface Limit {
  readonly soft?: number;
  readonly hard?: number;
}

/** What a driver may spend, in requests to its provider's API. */
export interface Budget {
  readonly perHour?: Limit;
  readonly perDay?: Limit;
}

/** What a driver has spent, in this hour and on this day. */
export interface Spent {
  readonly hour: number;
  readonly day: number;
}

/** How much of a budget is left: enough, little, nothing. */
export type Strain = 'none' | 'soft' | 'hard';

/** The strain on a budget, and what a person is told of it. */
export function strainOn(budget: Budget, spent: Spent): { readonly strain: Strain; readonly text: string } {
  const limits = [
    { limit: budget.perHour, spent: spent.hour, time: 'hour' },
    { limit: budget.perDay, spent: spent.day, time: 'day' },
  ];
  for (const strain of ['hard', 'soft'] as const)
    for (const { limit, spent, time } of limits) {
      const most = limit?.[strain];
      if (most !== undefined && spent >= most)
        return { strain, text: `${spent} of ${most} calls this ${time} (${strain} limit)` };
    }
  return { strain: 'none', text: '' };
}
