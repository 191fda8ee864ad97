import { CODE_OF_STATE, type Code, stateOfCode, textOf } from '../domain/codes.ts';
import { excerpt } from '../domain/excerpt.ts';
import { type Instant, parseIp } from '../domain/identity.ts';
import { SERVICE_RUNGS, type ServiceFacts, type ServiceRung, type ServiceState } from '../domain/service.ts';
import type { View } from '../domain/view.ts';
import type { ServiceRow } from './document.ts';
import { NONE } from './words.ts';

const isRung = (state: View['state']): state is Exclude<ServiceRung, 'installed'> =>
  (SERVICE_RUNGS as readonly string[]).includes(state);

/** The chart's word for a row: the rung of one that runs, else what its code says. */
export function serviceState({ code, rung }: Pick<ServiceRow, 'code' | 'rung'>): ServiceState {
  const state = stateOfCode(code);
  return state === 'up' && rung !== undefined && rung !== 'installed' ? rung : state;
}

/** The code of a service's view; its state decides where the two have come apart. */
export function serviceCode({ code, state }: Pick<View, 'code' | 'state'>): Code {
  const told = stateOfCode(code);
  if (told === state || (told === 'up' && isRung(state))) return code;
  return CODE_OF_STATE[state as ServiceState];
}

/** The row of a service's view. */
export function serviceRow(view: View, time: string): readonly [key: string, row: ServiceRow] {
  const code = serviceCode(view);
  const rung = rungOf(view);
  const row: ServiceRow = {
    name: view.name,
    ip: view.ip,
    mode: view.mode ?? NONE,
    status: view.role ?? NONE,
    state: textOf(code),
    code,
    time,
    ...(rung !== undefined && { rung }),
    ...(view.raw !== undefined && { raw: view.raw }),
    ...(view.reason !== undefined && { reason: view.reason }),
  };
  return [view.name, row];
}

function rungOf(view: View): ServiceRung | undefined {
  if (isRung(view.state)) return view.state;
  return view.holds.has('installed') ? 'installed' : undefined;
}

/** The facts of a row. What it does not say is left open. */
export function serviceFacts(row: ServiceRow, readAt: Instant): ServiceFacts {
  const ip = row.ip === null ? null : parseIp(row.ip);
  return {
    name: row.name,
    readAt,
    code: row.code,
    holds: rungsHeld(row),
    role: row.status,
    ...(ip !== null && { ip }),
    ...(row.mode !== NONE && { mode: row.mode }),
    ...(row.reason !== undefined && { reason: excerpt(row.reason) }),
  };
}

/** A rung holds all those below it. */
function rungsHeld({ code, rung }: ServiceRow): ServiceFacts['holds'] {
  const told = Object.fromEntries(SERVICE_RUNGS.slice(0, rung ? SERVICE_RUNGS.indexOf(rung) + 1 : 0).map((held) => [held, true]));
  switch (stateOfCode(code)) {
    case 'up':
      return { installed: true, up: true, ...told };
    case 'stopped':
      return { installed: true, up: false };
    case 'uninstalled':
      return { installed: false, up: false };
    case 'failing':
      return { ...told, up: false };
    default:
      return told;
  }
}
