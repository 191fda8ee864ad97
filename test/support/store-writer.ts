import { sqlite } from 'fleetbeat/adapters/sqlite';

/** A process that is to be killed: writes to the store in the file that its argument names, and prints each key once it is acknowledged. */
const store = sqlite(process.argv[2] ?? '');
for (let i = 0; ; i++) {
  const keys = Array.from({ length: 1 + (i % 5) }, (_, j) => `${process.pid}:${i}:${j}`);
  await Promise.all(keys.map((key) => store.add(key, `value of ${key}`).then(() => process.stdout.write(`${key}\n`))));
}
