import type { Command } from 'commander';
import { DAY_MS } from '../domain/bill.ts';
import { shown } from '../wire/refusal.ts';
import { sinceOf } from './since.ts';
import { usageError } from './usage.ts';

/** What is asked of the bill. */
export interface BillAsked {
  /** How far back, in milliseconds. */
  readonly sinceMs: number;
}

const LONGEST_DAYS = 39;

/** @throws FleetError ER0222 for a time that is none, is to come, or is longer ago than calls are remembered */
export function readSince(text: string | undefined, now: number): BillAsked {
  if (text === undefined) return { sinceMs: DAY_MS };
  const sinceMs = now - sinceOf(text, now);
  if (sinceMs > 0 && sinceMs <= LONGEST_DAYS * DAY_MS) return { sinceMs };
  throw usageError(
    `--since: found ${shown(text)}, allowed: a time in the past, at most ${LONGEST_DAYS}d ago, since calls are counted no longer`,
  );
}

/** Adds `fleetbeat bill` to the command line. */
export function addBill(root: Command, then: (asked: BillAsked) => void): void {
  root
    .command('bill')
    .allowExcessArguments(false)
    .description('what clouds were asked, on whose behalf, and what that costs: by all who share the store')
    .option('--since <time>', 'from then on: how long ago (12h, 7d) or a time (2026-05-01); 24h unless given, at most 39d')
    .addHelpText('after', HELP)
    .action(({ since }: { readonly since?: string }) => then(readSince(since, Date.now())));
}

const HELP = `
No cloud is asked for it: calls are counted in the store, by the hour. What they cost, and how many there may be, says "bill" in the
configuration.

Exit: 0 told, 1 the store cannot be read, 64 not understood, or a store that ends with its process.

Examples:
  $ fleetbeat bill
  $ fleetbeat bill --since 7d
  $ fleetbeat bill --json | jq '.bill.forecast.costPer30Days'`;
