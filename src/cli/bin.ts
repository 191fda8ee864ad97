#!/usr/bin/env node
import { version } from './version.ts';

const [first, ...others] = process.argv.slice(2);

// The version is asked for by scripts, often: it costs no more than starting Node.
if (others.length === 0 && (first === '--version' || first === '-V')) process.stdout.write(`${version()}\n`);
else {
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
}
