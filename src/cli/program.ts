import { Command, CommanderError } from 'commander';
import { printable } from '../domain/printable.ts';
import type { AuditAsked } from './audit-options.ts';
import { addAudit } from './audit-program.ts';
import { addBill, type BillAsked } from './bill-program.ts';
import { addDoctors, type DoctorsAsked } from './doctors-program.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { CONFIG_ACTION_TEXTS, INSTANCE_ACTION_TEXTS, SERVICE_ACTION_TEXTS } from './levels.ts';
import { addMaintenance, type MaintenanceAsked } from './maintenance-program.ts';
import { type DemoOptions, type Options, type RawDemoOptions, type RawOptions, readDemoOptions, readOptions } from './options.ts';
import { addParent } from './parent.ts';
import { addRecovery, type RecoveryAsked } from './recovery-program.ts';
import { unknownWord, usageError } from './usage.ts';

/** A command line that names a level, an action and what it is about. */
export interface Asked {
  readonly level: 'instances' | 'services' | 'config';
  readonly action: string;
  readonly group: string;
  readonly type: string;
}

/** What a command line can ask for. */
export interface Handlers {
  ask(asked: Asked, options: Options): Promise<ExitCode>;
  /** Without a level, commands come on stdin. */
  stdin(options: Options): Promise<ExitCode>;
  doctors(asked: DoctorsAsked, options: Options): Promise<ExitCode>;
  audit(asked: AuditAsked, options: Options): Promise<ExitCode>;
  bill(asked: BillAsked, options: Options): Promise<ExitCode>;
  maintenance(asked: MaintenanceAsked, options: Options): Promise<ExitCode>;
  recovery(asked: RecoveryAsked, options: Options): Promise<ExitCode>;
  daemon(options: Options): Promise<ExitCode>;
  demo(options: DemoOptions): Promise<ExitCode>;
}

/** What help and the parser have to know of where they run. */
interface Surroundings {
  readonly write: (text: string) => void;
  readonly columns: number;
  readonly stdinIsTerminal: boolean;
  readonly version: string;
}

const LEVELS = ['instances', 'services', 'config', 'doctors', 'audit', 'bill', 'maintenance', 'recovery', 'heartbeat', 'demo'];

/** What is to be done, once everything on the command line has been understood. */
export type Task = () => Promise<ExitCode>;

/**
 * Parses a command line.
 *
 * @throws FleetError ER0201 (unknown level), ER0202 (unknown action), ER0222 for all else that cannot be understood
 */
export function parseArguments(argv: readonly string[], handlers: Handlers, around: Surroundings): Task {
  let task: Task = async () => EXIT.done;
  const root = programOf(handlers, around, (next) => {
    task = next;
  });
  forAll(root, (command) =>
    command
      .exitOverride()
      .configureOutput({ writeOut: around.write, writeErr: () => {}, getOutHelpWidth: () => Math.min(around.columns, 110) })
      .configureHelp({ showGlobalOptions: true }),
  );
  try {
    root.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(printable(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')));
  }
  return task;
}

function forAll(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const below of command.commands) forAll(below, change);
}

function programOf(handlers: Handlers, around: Surroundings, then: (task: Task) => void): Command {
  const root = new Command('fleetbeat')
    .description('State machines for cloud instances and database services, driven by heartbeats.')
    .usage('<level> <action> [group] [type]')
    .option('--config <file>', 'the configuration, instead of the first fleetbeat.config.{js,json,yaml,yml} from here upward')
    .option('--json', 'JSON also on a terminal; it is what a pipe gets')
    .option('--every <duration>', 'the time between two beats, such as 500ms, 10s, 1m')
    .option('--timeout <duration>', 'how long to await the outcome; then exit 75, and what was armed goes on')
    .option('--no-wait', 'leave the outcome to whoever leads the fleet, and exit 75 at once; not with the store memory')
    .version(around.version)
    .allowExcessArguments()
    .action((options: RawOptions, command: Command) => {
      const [level] = command.args;
      if (level !== undefined) throw unknownWord('ER0201', level, LEVELS);
      if (around.stdinIsTerminal)
        throw usageError(`a level is missing, allowed: ${LEVELS.join(', ')}; fleetbeat --help tells more`);
      const read = readOptions(options);
      then(() => handlers.stdin(read));
    })
    .addHelpText('after', ROOT_HELP);

  const ask = (asked: Asked, own: RawOptions = {}) => {
    const options = readOptions({ ...root.opts(), ...own });
    refuseUnmeant(asked, options, around);
    then(() => handlers.ask(asked, options));
  };
  addLevel(root, 'instances', 'the machines: rungs 1 to 5 of the ladder', INSTANCE_ACTION_TEXTS, ask, INSTANCE_EXAMPLES);
  addLevel(root, 'services', 'what runs on them: rungs 6 to 8', SERVICE_ACTION_TEXTS, ask, SERVICE_EXAMPLES);
  addConfig(root, ask);
  addDoctors(root, (asked) => {
    refuse(root, 'doctors', ['every', 'timeout', 'wait']);
    const options = readOptions(root.opts());
    then(() => handlers.doctors(asked, options));
  });
  addAudit(root, (asked) => {
    refuse(root, 'audit', ['every', 'timeout', 'wait']);
    const options = readOptions(root.opts());
    then(() => handlers.audit(asked, options));
  });
  addBill(root, (asked) => {
    refuse(root, 'bill', ['every', 'timeout', 'wait']);
    const options = readOptions(root.opts());
    then(() => handlers.bill(asked, options));
  });
  addMaintenance(root, (asked) => {
    refuse(root, 'maintenance', ['every', 'timeout', 'wait']);
    const options = readOptions(root.opts());
    then(() => handlers.maintenance(asked, options));
  });
  addRecovery(root, (asked) => {
    refuse(root, 'recovery', ['every', 'timeout', 'wait']);
    const options = readOptions(root.opts());
    then(() => handlers.recovery(asked, options));
  });
  root
    .command('heartbeat')
    .allowExcessArguments(false)
    .description('the daemon: beats, fires what is due, tells the doctors, and each change and action in a line')
    .addHelpText('after', DAEMON_HELP)
    .action(() => {
      refuse(root, 'heartbeat', ['timeout', 'wait']);
      const options = readOptions(root.opts());
      then(() => handlers.daemon(options));
    });
  root
    .command('demo')
    .allowExcessArguments(false)
    .description('a fleet to look at: simulated, in this process; it needs nothing and ends by itself')
    .option('--speed <factor>', 'simulated seconds in a real one, 1 to 100', '10')
    .option('--seed <number>', 'decides every delay and fault', '1')
    .option('--faults <rate>', 'how often what can go wrong does, 0 to 1', '0')
    .addHelpText('after', DEMO_HELP)
    .action((raw: RawDemoOptions) => {
      refuse(root, 'demo', ['config', 'json', 'every', 'timeout', 'wait']);
      const options = readDemoOptions(raw);
      then(() => handlers.demo(options));
    });
  return root;
}

function addLevel(
  root: Command,
  level: 'instances' | 'services',
  description: string,
  actions: Readonly<Record<string, string>>,
  ask: (asked: Asked, own?: RawOptions) => void,
  examples: string,
): void {
  const parent = addParent(root, level, description, Object.keys(actions), examples);
  for (const [action, text] of Object.entries(actions)) {
    const command = parent.command(action).description(text).allowExcessArguments(false);
    switch (action) {
      case 'plan':
        command
          .argument('<action>', 'the action that is planned')
          .argument('[group]', GROUP, 'all')
          .action((verb: string, group: string) => ask({ level, action, group, type: verb }));
        break;
      case 'retry':
      case 'discard':
        command
          .argument('<id>', `the action's id, as fleetbeat instances actions lists it`)
          .action((id: string) => ask({ level, action, group: id, type: 'all' }));
        break;
      default:
        command
          .argument('[group]', GROUP, 'all')
          .argument(
            '[type]',
            level === 'services' ? 'a mode, a section (db, nosql, proxy, lb), or all' : 'a cloud, or all',
            'all',
          )
          .action((group: string, type: string, options: RawOptions) => ask({ level, action, group, type }, options));
    }
    command.addHelpText('after', `\nExample:\n  $ fleetbeat ${level} ${exampleOf(level, action)}`);
    if (action === 'actions_init') command.option('--yes', 'really');
    if (action === 'status') command.option('--fresh', 'reads the cloud anew, however lately it was read');
  }
}

function exampleOf(level: 'instances' | 'services', action: string): string {
  const group = level === 'services' ? 'node10' : '10.0.0.102';
  switch (action) {
    case 'plan':
      return `plan start ${group}`;
    case 'retry':
    case 'discard':
      return `${action} 5b0c1f9a2d`;
    case 'ping':
      return 'ping < heartbeat.json';
    case 'actions_init':
      return 'actions_init --yes';
    case 'heartbeat':
    case 'actions':
    case 'world':
      return action;
    default:
      return `${action} ${group}`;
  }
}

function addConfig(root: Command, ask: (asked: Asked) => void): void {
  const parent = addParent(root, 'config', 'the configuration', Object.keys(CONFIG_ACTION_TEXTS), CONFIG_EXAMPLES);
  for (const [action, text] of Object.entries(CONFIG_ACTION_TEXTS)) {
    const command = parent.command(action).description(text).allowExcessArguments(false);
    const asked = (group: string) => {
      refuse(root, `config ${action}`, ['every', 'timeout', 'wait']);
      ask({ level: 'config', action, group, type: 'all' });
    };
    if (action === 'file') command.argument('<service>', 'its name').action(asked);
    else command.action(() => asked('all'));
  }
}

/** What would do nothing, or too much. */
function refuseUnmeant({ level, action }: Asked, { yes }: Options, { stdinIsTerminal }: Surroundings): void {
  if (action === 'ping' && stdinIsTerminal) {
    throw usageError(`${level} ping: found a terminal on stdin, allowed: heartbeats in JSON, from a pipe or a file`);
  }
  if (action === 'actions_init' && !yes) {
    throw usageError(`${level} actions_init: found no --yes, allowed: with it, since every action that waits is cancelled`);
  }
}

/** Options that everyone may have and that mean nothing here. */
function refuse(root: Command, what: string, options: readonly string[]): void {
  const given = options.find((option) => root.getOptionValueSource(option) === 'cli');
  if (given !== undefined) throw usageError(`${what}: found --${given === 'wait' ? 'no-wait' : given}, which means nothing here`);
}

const GROUP = 'a name, an id, an ip, a cluster, local, or all';

const ROOT_HELP = `
Commands on stdin: without a level, each line is a command in JSON, and is answered by a line, in order.

Exit: 0 done, 1 failed or rejected, 64 not understood, 75 armed and still to come.

Examples:
  $ fleetbeat demo
  $ fleetbeat services start node10
  $ fleetbeat instances heartbeat
  $ fleetbeat heartbeat --every 10s
  $ fleetbeat audit --since 1h
  $ fleetbeat bill --since 7d
  $ echo '{"level":"instances","command":{"action":"heartbeat","group":"all","type":"all"}}' | fleetbeat`;

const INSTANCE_EXAMPLES = `
Examples:
  $ fleetbeat instances status
  $ fleetbeat instances start 10.0.0.102
  $ fleetbeat instances plan stop i-987388e6
  $ fleetbeat instances actions`;

const SERVICE_EXAMPLES = `
Examples:
  $ fleetbeat services status all db
  $ fleetbeat services start node10
  $ fleetbeat services plan start node10
  $ fleetbeat services stop all memcache --timeout 1m
  $ fleetbeat services ping < heartbeat.json`;

const CONFIG_EXAMPLES = `
Examples:
  $ fleetbeat config display
  $ fleetbeat config rules > fleetbeat.schema.json
  $ fleetbeat config file node10`;

const DAEMON_HELP = `
It beats every 10s, unless --every says otherwise, until SIGINT or SIGTERM; then it exits with 0. Commands are taken from its own
stdin, one a line, and answered at once: their actions are told as they go on.

Examples:
  $ fleetbeat heartbeat --every 10s
  $ fleetbeat heartbeat < /dev/null | jq -c 'select(.events)'`;

const DEMO_HELP = `
Examples:
  $ fleetbeat demo
  $ fleetbeat demo --speed 3 --seed 7
  $ fleetbeat demo --faults 0.1`;
