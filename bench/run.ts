import { beats } from './beat.ts';
import { bill } from './bill.ts';
import { doctors } from './doctors.ts';
import { firing } from './firing.ts';
import { heap } from './heap.ts';
import { ladder } from './ladder.ts';
import { loadBuilt } from './library.ts';
import { jsonPrinter, tablePrinter } from './print.ts';
import { probing } from './probing.ts';
import { reaction } from './reaction.ts';
import { select } from './selection.ts';
import { startUp } from './start-up.ts';
import { switchover } from './switchover.ts';

const args = process.argv.slice(2);
const ids = args.filter((arg) => arg !== '--json');
const unknown = ids.filter((id) => !/^P[1-9]\b/.test(id));
if (unknown.length > 0) {
  process.stderr.write(`bench: ${unknown.join(', ')} is measured nowhere; known are P1 to P9\n`);
  process.exit(64);
}

const library = await loadBuilt();
const selection = select(ids);
const print = args.includes('--json') ? jsonPrinter : tablePrinter;
const printer = print((line) => void process.stdout.write(`${line}\n`));
for (const measure of [beats, heap, bill, probing, firing, doctors, reaction, startUp, ladder, switchover]) {
  for await (const figure of measure(library, selection)) {
    if (!selection.wants(figure.id)) continue;
    process.stderr.write(`${figure.id}: ${figure.ours} ${figure.unit}\n`);
    printer.figure(figure);
  }
}
printer.end();
