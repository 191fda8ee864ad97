import type { Code } from '../domain/codes.ts';
import { excerpt } from '../domain/excerpt.ts';
import { type Instant, nameOf, parseIp, wantedOf } from '../domain/identity.ts';
import { INSTANCE_RUNGS, type InstanceFacts, type InstanceRung, type InstanceState, type SshAnswer } from '../domain/instance.ts';
import { SSH_CODES } from '../domain/ssh.ts';
import type { View } from '../domain/view.ts';
import type { InstanceRow } from './document.ts';
import type { InstanceWord } from './words.ts';

type Silence = Exclude<SshAnswer, 'up'>;

const isSilence = (answer: string): answer is Silence => answer !== 'up' && Object.hasOwn(SSH_CODES, answer);

/** How ssh does not answer, by the code that says so. */
const SILENCES: ReadonlyMap<Code, Silence> = new Map(
  Object.entries(SSH_CODES).flatMap(([answer, code]) => (isSilence(answer) ? [[code, answer] as const] : [])),
);

/** How the reason of a pending row begins where the provider says running and ssh does not answer. */
const SILENT = new RegExp(`^(pending|unreachable): (${[...SILENCES.values()].join('|')})(?:; |$)`);

/** A row says that the binaries are there, not which. */
const SOME_BINARIES = 'as told';

const isRung = (state: View['state']): state is InstanceRung => (INSTANCE_RUNGS as readonly string[]).includes(state);

/** The seed's word for the state of an instance: running on every rung, pending where ssh has stopped to answer. */
export function instanceWord(state: View['state']): InstanceWord {
  if (isRung(state)) return 'running';
  return state === 'unreachable' ? 'pending' : (state as Exclude<InstanceState, InstanceRung>);
}

/** The chart's word for a row: its rung where it runs, `unreachable` where its reason says so. */
export function instanceState(row: InstanceRow): InstanceState {
  if (row.state === 'running') return row.rung ?? 'ssh-up';
  return row.state === 'pending' && SILENT.exec(row.reason ?? '')?.[1] === 'unreachable' ? 'unreachable' : row.state;
}

/** The row of an instance's view, under its id, or under its ip while it is only wanted there. */
export function instanceRow(view: View): readonly [key: string, row: InstanceRow] {
  const [, cloud = ''] = view.key.split('/');
  const reason = reasonOf(view);
  const wanted = wantedOf(view.key);
  const row: InstanceRow = {
    id: wanted ? null : nameOf(view.key),
    ip: wanted?.ip ?? view.ip,
    state: instanceWord(view.state),
    cloud,
    ...(isRung(view.state) && { rung: view.state }),
    ...(view.raw !== undefined && { raw: view.raw }),
    ...(reason !== undefined && { reason }),
  };
  return [nameOf(view.key), row];
}

/** Where ssh does not answer, the reason begins with how: the seed has one word for all of it. */
function reasonOf({ state, code, reason }: View): string | undefined {
  const silence = SILENCES.get(code) ?? (state === 'unreachable' ? 'timeout' : undefined);
  if (silence === undefined || (state !== 'pending' && state !== 'unreachable')) return reason;
  return reason === undefined || reason === `ssh ${silence}` ? `${state}: ${silence}` : `${state}: ${silence}; ${reason}`;
}

/** The facts of a row, or null of an instance that is absent: there is nothing to list. */
export function instanceFacts(row: InstanceRow, cloud: string, readAt: Instant): InstanceFacts | null {
  const state = instanceState(row);
  if (state === 'absent') return null;
  return {
    cloud: row.cloud ?? cloud,
    id: row.id,
    ip: row.ip === null ? null : parseIp(row.ip),
    readAt,
    ...whatIsKnown(state, row),
  };
}

/** In the seed's sense running means that ssh answers; what a row does not say is left open. */
function whatIsKnown(state: Exclude<InstanceState, 'absent'>, row: InstanceRow): Partial<InstanceFacts> {
  const running = { state: 'running', raw: excerpt(row.raw ?? 'running') } as const;
  switch (state) {
    case 'ssh-up':
      return { power: running, ssh: 'up' };
    case 'bootstrapped':
      return { power: running, ssh: 'up', binaries: SOME_BINARIES };
    case 'managed':
      return { power: running, ssh: 'up', binaries: SOME_BINARIES, agent: true };
    case 'pending':
    case 'unreachable': {
      const silence = SILENT.exec(row.reason ?? '')?.[2] as Silence | undefined;
      if (silence !== undefined) return { power: running, ssh: silence };
      if (state === 'unreachable') return { power: running, ssh: 'timeout' };
      return { power: { state, raw: excerpt(row.raw ?? state) } };
    }
    default:
      return { power: { state, raw: excerpt(row.raw ?? state) } };
  }
}
