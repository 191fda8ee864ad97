import { OK } from '../domain/codes.ts';
import { isFleetError } from '../errors.ts';
import type { Fleet, Parked } from '../index.ts';
import { fromReply, type WireDocument } from '../wire/index.ts';
import { refusal } from './answer.ts';
import { findConfiguration } from './config/find.ts';
import { keptDoctors } from './config/make-doctors.ts';
import { openStore } from './config/open-store.ts';
import { readConfiguration } from './config/read.ts';
import type { DoctorsAsked } from './doctors-program.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { refuseMemory } from './lasting-store.ts';
import type { Options } from './options.ts';
import { documentText } from './render/document.ts';
import { type Look, lookOf } from './render/look.ts';
import { table } from './render/table.ts';
import type { Terminal } from './terminal.ts';

/** `fleetbeat doctors …`: about what stands in the store. Nothing is read of any host, and nobody is told anything here. */
export async function doctors(asked: DoctorsAsked, options: Options, terminal: Terminal): Promise<ExitCode> {
  const configuration = await readConfiguration(findConfiguration(terminal.cwd, options.config));
  refuseMemory(configuration, 'doctors', 'nothing is parked but in the process itself');
  const [{ createFleet }, store] = await Promise.all([import('../fleet.ts'), openStore(configuration.store)]);
  const fleet = createFleet({ store, doctors: keptDoctors(configuration.doctors), policy: configuration.policy });
  try {
    const { document, parked, exit } = await answerTo(asked, fleet);
    const { stdout, env } = terminal;
    if (stdout.isTTY === true && !options.json) stdout.write(`${textOf(document, parked, lookOf(stdout, env))}\n`);
    else stdout.write(`${JSON.stringify({ ...document.body, ...(parked && { parked: parked.map(rowOf) }) })}\n`);
    return exit;
  } finally {
    await fleet.stop();
    await store.close?.();
  }
}

interface Answered {
  readonly document: WireDocument;
  readonly parked?: readonly Parked[];
  readonly exit: ExitCode;
}

async function answerTo(asked: DoctorsAsked, fleet: Fleet): Promise<Answered> {
  const id = asked.action === 'parked' ? 'all' : asked.id;
  const question = { level: 'doctors', action: asked.action, group: id, type: 'all' };
  try {
    const parked = await work(asked, fleet);
    const console = parked ? [] : [{ command: `doctors ${asked.action} ${id}`, return: OK, result: RESULTS[asked.action] }];
    const document = fromReply({ question, code: OK, at: new Date().toISOString(), console });
    return { document, exit: EXIT.done, ...(parked && { parked }) };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return refusal(`doctors ${asked.action} ${id}`, error, question);
  }
}

async function work(asked: DoctorsAsked, fleet: Fleet): Promise<readonly Parked[] | undefined> {
  switch (asked.action) {
    case 'parked':
      return fleet.parked();
    case 'redeliver':
      await fleet.redeliver(asked.id);
      return undefined;
    case 'dismiss':
      await fleet.dismiss(asked.id);
      return undefined;
    default:
      return asked satisfies never;
  }
}

const RESULTS = {
  parked: '',
  redeliver: 'it is tried again by whoever leads',
  dismiss: 'it is given up; what waits behind it goes on',
} as const satisfies Record<DoctorsAsked['action'], string>;

const rowOf = ({ since, ...parked }: Parked) => ({ ...parked, since: new Date(since).toISOString() });

function textOf(document: WireDocument, parked: readonly Parked[] | undefined, look: Look): string {
  if (!parked) return documentText(document, look);
  if (parked.length === 0) return 'nothing is parked';
  return table<ReturnType<typeof rowOf>>(
    [
      { title: 'id', of: ({ id }) => id },
      { title: 'about', of: ({ keys }) => keys.join(' ') },
      { title: 'changes', of: ({ changes }) => String(changes) },
      { title: 'since', of: ({ since }) => since },
      { title: 'tries', of: ({ attempts }) => String(attempts) },
      { title: 'code', of: ({ code }) => code },
      { title: 'why', of: ({ message }) => message, isProse: true },
    ],
    parked.map(rowOf),
    look,
  );
}
