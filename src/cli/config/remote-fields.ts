import * as v from 'valibot';
import * as f from './fields.ts';

const { described, list, optional, section, text } = f;

/** What all clouds have. */
export const active = described(
  'Exactly one cloud is active: only that one is read and acted on, and new instances are launched there.',
  optional(f.flag, false),
);

export const url = text('a url with https, or http to what allow lists, without a user in it', (found) => {
  if (!URL.canParse(found)) return false;
  const { protocol, username, password } = new URL(found);
  return /^https?:$/.test(protocol) && username === '' && password === '';
});

export const line = text('a text of one line', (found) => /^[^\p{Cc}]{1,1024}$/u.test(found));
const label = text('a text of at most 256 characters in one line', (found) => /^[^\p{Cc}]{0,256}$/u.test(found));
/** Texts by name, such as tags. */
export const labels = f.byName(label, label);
/** What is sent as it stands. */
export const asIs = f.byName(label, v.unknown());

const read = section({
  every: described('How old its word may be while nobody waits for it.', optional(f.duration, '5m')),
  stale: described(
    'For so long after that the last word is still given at once, while the next one is read. Default: not at all.',
    optional(f.duration),
  ),
});

/** What all clouds have that are behind an API. */
export const remote = {
  active,
  read: described('How seldom it is read, once for all who share the store.', optional(read, {})),
  allow: described('Hosts that may be called though they are this machine, or without TLS.', optional(list(f.server))),
  deadlineMs: described('How long a request may take, with its retries.', optional(f.wholeNumber(100, 600_000))),
};

/** What is launched: settings for all, and what is different at single ips. */
export const launchOf = <const Needed extends v.ObjectEntries, const Others extends v.ObjectEntries>(
  needed: Needed,
  others: Others,
) => {
  const own = Object.fromEntries(Object.entries(needed).map(([name, field]) => [name, optional(field as v.GenericSchema)])) as {
    [Name in keyof Needed]: v.ExactOptionalSchema<Needed[Name] & v.GenericSchema, undefined>;
  };
  const byIp = described('What is different at single ips.', optional(f.byName(f.ipName, section({ ...own, ...others }))));
  return described(
    'What is launched, in the words of its provider. Without it nothing is.',
    optional(section({ ...needed, ...others, byIp })),
  );
};
