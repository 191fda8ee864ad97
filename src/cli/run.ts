import { printable } from '../domain/printable.ts';
import { isFleetError } from '../errors.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { type Handlers, parseArguments } from './program.ts';
import type { Terminal } from './terminal.ts';
import { version } from './version.ts';

/** Runs one command line. Nothing that a command needs is loaded before it is known to be asked for. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const task = parseArguments(argv, handlersOn(terminal), {
      write: (text) => terminal.stdout.write(text),
      columns: terminal.stdout.columns ?? 80,
      stdinIsTerminal: terminal.stdin.isTTY === true,
      version: version(),
    });
    return await task().catch((error: unknown) => {
      tell(terminal, error);
      return isFleetError(error) && error.code === 'ER0230' ? EXIT.usage : EXIT.failed;
    });
  } catch (error) {
    if (!isFleetError(error)) throw error;
    tell(terminal, error);
    return EXIT.usage;
  }
}

function tell({ stderr }: Terminal, error: unknown): void {
  stderr.write(`fleetbeat: ${printable(error instanceof Error ? error.message : String(error))}\n`);
}

function handlersOn(terminal: Terminal): Handlers {
  return {
    async ask(asked, options) {
      if (asked.level === 'config') return (await import('./config-command.ts')).showConfig(asked, options, terminal);
      return (await import('./one-shot.ts')).oneShot(asked, options, terminal);
    },
    stdin: async (options) => (await import('./one-shot.ts')).fromStdin(options, terminal),
    doctors: async (asked, options) => (await import('./doctors-command.ts')).doctors(asked, options, terminal),
    audit: async (asked, options) => (await import('./audit-command.ts')).audit(asked, options, terminal),
    bill: async (asked, options) => (await import('./bill-command.ts')).bill(asked, options, terminal),
    maintenance: async (asked, options) => (await import('./maintenance-command.ts')).maintenance(asked, options, terminal),
    recovery: async (asked, options) => (await import('./recovery-command.ts')).recovery(asked, options, terminal),
    daemon: async (options) => (await import('./daemon.ts')).daemon(options, terminal),
    demo: async (options) => (await import('./demo.ts')).demo(options, terminal),
  };
}
