import { doText, type InstanceFacts, type ServiceFacts, triggerText } from 'fleetbeat';
import type { Happening } from './happenings.ts';

/** A happening as a person reads it. */
export function describe(happening: Happening): string {
  switch (happening.is) {
    case 'asks':
      return `${happening.by.name} asks for ${happening.key} = ${short(happening.next)}`;
    case 'stored':
      return `the store holds ${happening.key} = ${short(happening.after)}`;
    case 'learns':
      return `${happening.by.name} learns ${happening.key} = ${short(happening.text)}`;
    case 'reads':
      return `${happening.by.name} has read ${happening.reading.items.map(seen).join(', ')}`;
    case 'is blind':
      return `${happening.by.name} could not read ${happening.source}`;
    case 'hears':
      return `${happening.by.name} hears ${happening.beat.source} ${happening.beat.epoch} ${happening.beat.seq}: ${(happening.beat.services?.items ?? []).map(seen).join(', ')}`;
    case 'calls':
      return `${happening.by.name} calls ${doText(happening.call.do)} ${happening.call.step ?? ''} (${happening.permit.token}, fence ${happening.permit.fence})`;
    case 'effect': {
      const { verb, step, subject, outcome, token, fence } = happening.effect;
      return `${happening.driver}: ${verb} ${step ?? ''} of ${subject} ${outcome} (${token}, fence ${fence})`;
    }
    case 'armed':
      return `${happening.by.name} has armed ${happening.actions.map((action) => `${doText(action.do)} when ${triggerText(action.when)} (${action.token})`).join(', ')}`;
    case 'says':
      return `${happening.by.name} says that ${doText(happening.action.do)} (${happening.action.token}) is ${happening.action.status}`;
    case 'retried':
      return `${happening.id} is to be tried again`;
    case 'mishap':
      return happening.what;
    case 'fault':
      return `${happening.by.name}: ${happening.key}: ${happening.error instanceof Error ? (happening.error.stack ?? '') : String(happening.error)}`;
    case 'has heard':
    case 'looks':
    case 'step':
      return '';
    default:
      return happening satisfies never;
  }
}

function seen(facts: InstanceFacts | ServiceFacts): string {
  if ('code' in facts) return `${facts.name} ${facts.code} ${facts.runId ?? ''}`;
  const { id, ip, power, ssh, binaries, agent, bootId } = facts;
  return `${id} at ${ip} ${power?.state} ${ssh ?? ''} ${binaries ?? ''} ${agent ? 'agent' : ''} ${bootId ?? ''}`;
}

/** A record shows what changes in it. */
function short(text: string | null): string {
  if (text === null) return 'nothing';
  const record = /^\{"version":1,"action":/.test(text) ? JSON.parse(text).action : null;
  if (!record) return text.slice(0, 120);
  const { token, order, status, attempts, begun, when, do: what } = record;
  return `${doText(what)} when ${triggerText(when)} (${token}) at ${order}: ${status}, ${attempts} attempts${begun ? ', begun' : ''}`;
}
