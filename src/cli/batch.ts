import { OK } from '../domain/codes.ts';
import type { Command } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import { asInstant } from '../domain/identity.ts';
import { FleetError } from '../errors.ts';
import { DEFAULT_LIMITS, type HeartbeatDocument, read, toCommand, toHeartbeat, type WireDocument } from '../wire/index.ts';
import { type Answer, refusal, reply } from './answer.ts';
import { ask } from './ask.ts';
import { EXIT } from './exit.ts';
import { taken } from './pause.ts';
import { NO_PAINT } from './render/look.ts';
import { changeLine } from './render/narration.ts';
import { ownHost, type Session } from './session.ts';
import type { Line } from './stdin.ts';
import { arm, type Manner } from './verbs.ts';

/** Answers documents in the order in which they come, each with one answer. What is none is answered with what is wrong in it. */
export async function* answersTo(documents: AsyncIterable<Line>, session: Session, manner: Manner): AsyncGenerator<Answer> {
  const deliver = createDelivery(session);
  for await (const line of taken(documents, manner.interrupted)) {
    yield await answerTo(line, session, manner, deliver);
  }
}

type Deliver = (document: HeartbeatDocument) => Promise<Answer>;

async function answerTo({ number, bytes }: Line, session: Session, manner: Manner, deliver: Deliver): Promise<Answer> {
  const where = `line ${number} of stdin`;
  let document: WireDocument | null = null;
  try {
    if (bytes === null) throw new FleetError('ER0223', `found more than ${DEFAULT_LIMITS.maxBytes} bytes in one line`);
    document = read(bytes, { lenient: true });
    return await answerToDocument(document, session, manner, deliver);
  } catch (error) {
    return refusal(
      where,
      error,
      document?.kind === 'command' ? { level: document.body.level, ...document.body.command } : undefined,
    );
  }
}

async function answerToDocument(document: WireDocument, session: Session, manner: Manner, deliver: Deliver): Promise<Answer> {
  switch (document.kind) {
    case 'command':
      return ask({ host: ownHost(), ...toCommand(document) }, session, manner);
    case 'heartbeat':
      return deliver(document);
    case 'actions':
      return arm(document, session, manner);
    default:
      throw new FleetError('ER0222', `found a document of kind ${document.kind}, allowed: a command, a heartbeat or actions`);
  }
}

const PING: Command = { level: 'services', action: 'ping', group: 'all', type: 'all' };

/** Takes in heartbeats of hosts, numbered in the order in which they arrive. */
function createDelivery({ fleet, configuration }: Session): Deliver {
  let arrival = 0;
  return async (document) => {
    arrival++;
    const problems: Problem[] = [];
    const listener = fleet.on('problem', (problem) => problems.push(problem));
    try {
      const readAt = asInstant(Date.now());
      const changes = await fleet.observe(toHeartbeat(document, { readAt, arrival, cloud: configuration.cloud.name }));
      const console = [
        ...problems.map(({ subject, code, message }) => ({ command: subject, return: code, result: message })),
        ...changes.map((change) => ({ command: change.source, return: change.to.code, result: changeLine(change, NO_PAINT) })),
      ];
      const [refused] = problems;
      return reply(PING, { code: refused?.code ?? OK, views: [], console }, refused ? EXIT.failed : EXIT.done);
    } finally {
      listener.unsubscribe();
    }
  };
}
