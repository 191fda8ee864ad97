import { run } from './run.ts';
import { ownTerminal } from './terminal.ts';
import { tellWarnings } from './warnings.ts';

/** Runs a command line in this process, and ends it once everything that was written has left. */
export async function main(argv: readonly string[]): Promise<void> {
  tellWarnings(process, process.stderr);
  const code = await run(argv, ownTerminal());
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
