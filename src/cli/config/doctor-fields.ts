import * as v from 'valibot';
import type { Doctor } from '../../contracts.ts';
import { isName } from '../../domain/identity.ts';
import { isObject } from '../../wire/json.ts';
import * as f from './fields.ts';
import { isAdapter } from './tame.ts';

const { described, exactly, optional, text } = f;

const answers = described('Whether what it answers acts: commands, one a line, or a list of actions.', optional(f.flag, false));
const deadlineMs = (byDefault: number) =>
  described('How long it may take for one batch.', optional(f.wholeNumber(1, 3_600_000), byDefault));

const ONE_LINE = text('a text of one line, or {"env": "NAME"}', (found) => /^[^\p{Cc}]{1,4096}$/u.test(found));
const textOrSecret = f.eitherOr(isObject, f.secret, ONE_LINE);

const variableName = text('the name of a variable of the environment', (found) => /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(found));
const headerName = text('the name of a header', (found) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(found));

const script = exactly({
  name: f.name,
  script: described('A program and its arguments, run for each batch in the folder of the configuration file.', f.argv),
  answers,
  deadlineMs: deadlineMs(20_000),
  env: described(
    'Its environment, beside PATH, HOME, LANG and TZ: texts, or {"env": "NAME"}.',
    optional(f.byName(variableName, textOrSecret), {}),
  ),
});

const url = text('a url with https, or http to this machine, without a user in it', (found) => {
  if (!URL.canParse(found)) return false;
  const { protocol, username, password } = new URL(found);
  return /^https?:$/.test(protocol) && username === '' && password === '';
});

const webhook = exactly({
  name: f.name,
  webhook: described(
    'Where each batch is posted to; {"env": "NAME"} where the url is a secret.',
    f.eitherOr(isObject, f.secret, url),
  ),
  secret: described('Signs what is sent, never itself in this file.', optional(f.secret)),
  answers,
  deadlineMs: deadlineMs(10_000),
  headers: described('Sent with each request: texts, or {"env": "NAME"}.', optional(f.byName(headerName, textOrSecret), {})),
  allowHttp: described('Allows http to other machines.', optional(f.flag, false)),
});

const isDoctor = (value: unknown): value is Doctor =>
  isObject(value) && typeof value.deliver === 'function' && typeof value.name === 'string' && isName(value.name);

const givenDoctor = v.custom<Doctor>(isDoctor, 'a doctor: a name, and deliver');

const NONE = 'an object with a name and a script or a webhook, or in a JavaScript file a doctor';
const neither = v.custom<never>(() => false, NONE);

/** Who is told of every change. */
export const doctor = v.lazy((input) => {
  if (input === undefined) return v.union([script, webhook]);
  if (!isObject(input)) return neither;
  if (isAdapter(input)) return givenDoctor;
  if ('webhook' in input) return webhook;
  return 'script' in input ? script : neither;
});

export type ConfiguredDoctor = v.InferOutput<typeof script> | v.InferOutput<typeof webhook> | Doctor;
