import { type Code, textOf } from '../domain/codes.ts';
import type { View } from '../domain/view.ts';
import { instanceWord } from './instance.ts';
import { serviceCode } from './service.ts';

/** The code of a view, as every list of the wire has it. */
export const codeOf = (view: View): Code => (view.level === 'services' ? serviceCode(view) : view.code);

/** The seed's `state` of a view: an instance's word, or the text of a service's code. */
export const stateText = (view: View): string =>
  view.level === 'services' ? textOf(serviceCode(view)) : instanceWord(view.state);
