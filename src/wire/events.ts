import { nameOf } from '../domain/identity.ts';
import type { Change } from '../domain/view.ts';
import type { EventRow, EventsDocument } from './document.ts';
import { codeOf, stateText } from './entity.ts';

/** Changes in the seed's words, as a doctor receives them. */
export const fromChanges = (changes: readonly Change[]): EventsDocument => ({
  kind: 'events',
  body: { events: changes.map(eventRow) },
});

function eventRow({ from, to }: Change): EventRow {
  return {
    type: to.level,
    name: nameOf(to.key),
    ip: to.ip ?? '',
    state: stateText(to),
    previous_state: from && stateText(from),
    code: codeOf(to),
    previous_code: from && codeOf(from),
  };
}
