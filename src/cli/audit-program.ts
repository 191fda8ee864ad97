import type { Command } from 'commander';
import { type AuditAsked, type RawAuditOptions, readAuditOptions } from './audit-options.ts';

/** Adds `fleetbeat audit` to the command line. */
export function addAudit(root: Command, then: (asked: AuditAsked) => void): void {
  root
    .command('audit')
    .allowExcessArguments(false)
    .description('what was seen and done, by whom and why: the lines of the audit log')
    .option('--since <time>', 'from then on: how long ago (30m, 12h, 7d) or a time (2026-05-01T08:30:00Z)')
    .option('--entity <name>', 'only of this: a name, an id, or a key such as services/node10')
    .option('--verify', 'tell instead whether every line is as it was written')
    .option('--file <file>', 'the log, instead of the one that the configuration names')
    .addHelpText('after', HELP)
    .action((own: RawAuditOptions) => then(readAuditOptions({ ...root.opts<RawAuditOptions>(), ...own }, Date.now())));
}

const HELP = `
Examples:
  $ fleetbeat audit --since 1h
  $ fleetbeat audit --entity node10 | jq -r '[.at, .who, .what, .before, .after] | @tsv'
  $ fleetbeat audit --verify`;
