import type * as v from 'valibot';
import * as f from './fields.ts';

const { described, optional, section, text } = f;

const MOST_CALLS = 1_000_000_000;

const verb = text('a call as fleetbeat bill shows it, or * for any other', (found) => /^[^\p{Cc}]{1,200}$/u.test(found));

const limit = (time: string) =>
  described(
    `The requests of one ${time}.`,
    optional(
      section({
        soft: described('From here on it is read more seldom, what is stable first.', optional(f.wholeNumber(0, MOST_CALLS))),
        hard: described('From here on only what somebody waits for is read.', optional(f.wholeNumber(0, MOST_CALLS))),
      }),
    ),
  );

const budget = section({ perHour: limit('hour'), perDay: limit('day') });

/** What calls to providers cost, and how many there may be. */
export const bill = section({
  prices: described(
    'What one call costs, by cloud and then by call; * is any other call of that cloud. What is not there is free.',
    optional(f.byName(f.name, f.byName(verb, f.number(0, 1_000_000))), {}),
  ),
  currency: described(
    'What the prices are in.',
    optional(
      text('the three letters of a currency, such as EUR', (found) => /^[A-Z]{3}$/.test(found)),
      'USD',
    ),
  ),
  budgets: described('How many requests there may be, by cloud.', optional(f.byName(f.name, budget), {})),
});

export type ConfiguredBill = v.InferOutput<typeof bill>;
