import { readFileSync } from 'node:fs';
import { realFleet } from './real-fleet.ts';

/**
 * A fleet in a process of its own, to be killed: beats once, dispatches one command, prints the reply, and goes on beating.
 * Its argument is a file with the JSON of its options.
 */
const { command, ...options } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const { fleet } = realFleet(options);
await fleet.beat();
console.log(JSON.stringify(await fleet.dispatch(command)));
fleet.start(50);
