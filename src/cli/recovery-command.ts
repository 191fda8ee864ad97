import { OK } from '../domain/codes.ts';
import { nameOf } from '../domain/identity.ts';
import { isFleetError } from '../errors.ts';
import type { Fleet, Recovery } from '../index.ts';
import { fromReply, type WireDocument } from '../wire/index.ts';
import { refusal } from './answer.ts';
import { recoveryLimits } from './config/policy-fields.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Options } from './options.ts';
import type { RecoveryAsked } from './recovery-program.ts';
import { documentText } from './render/document.ts';
import { lookOf } from './render/look.ts';
import { recoveriesText, recoveryRow, timeOf } from './render/recoveries.ts';
import { withStoredFleet } from './stored-fleet.ts';
import type { Terminal } from './terminal.ts';

/** `fleetbeat recovery …`: how it stands in the store; the daemon heeds an acknowledgement from its next beat on. */
export function recovery(asked: RecoveryAsked, options: Options, terminal: Terminal): Promise<ExitCode> {
  const alone = { what: 'recovery', why: 'nothing is recovered but by the process itself' };
  return withStoredFleet(options, terminal, alone, async (fleet, { policy }) => {
    const limits = recoveryLimits(policy);
    const { document, entries, exit } = await answerTo(asked, fleet);
    const rows = entries?.map((entry) => recoveryRow(entry, limits));
    const seenAt = rows ? ((await fleet.heartbeat())?.at ?? null) : null;
    const { stdout, env } = terminal;
    const look = lookOf(stdout, env);
    if (stdout.isTTY === true && !options.json) {
      stdout.write(`${rows ? recoveriesText(rows, { limits, seenAt, now: Date.now() }, look) : documentText(document, look)}\n`);
    } else
      stdout.write(
        `${JSON.stringify({ ...document.body, ...(rows && { recovery: rows, policy: limits, heartbeat_at: timeOf(seenAt) }) })}\n`,
      );
    return exit;
  });
}

interface Answered {
  readonly document: WireDocument;
  readonly entries?: readonly Recovery[];
  readonly exit: ExitCode;
}

async function answerTo(asked: RecoveryAsked, fleet: Fleet): Promise<Answered> {
  const group = asked.action === 'list' ? 'all' : asked.name;
  const question = { level: 'recovery', action: asked.action, group, type: 'all' };
  try {
    if (asked.action === 'acknowledge') await fleet.acknowledge(asked.name);
    const entries = await fleet.recovery();
    const meant = asked.action === 'list' ? entries : entries.filter(({ key }) => key === group || nameOf(key) === group);
    return { document: fromReply({ question, code: OK, at: new Date().toISOString() }), entries: meant, exit: EXIT.done };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return refusal(`recovery ${asked.action} ${group}`, error, question);
  }
}
