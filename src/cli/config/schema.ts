import { posix } from 'node:path';
import * as v from 'valibot';
import type { AnyServiceKind } from '../../contracts.ts';
import { ROLES } from '../../domain/service.ts';
import { isObject } from '../../wire/json.ts';
import { bill } from './bill-fields.ts';
import { bootstrap, type ConfiguredBootstrap } from './bootstrap-fields.ts';
import { cloud } from './cloud-fields.ts';
import { type ConfiguredDoctor, doctor } from './doctor-fields.ts';
import * as f from './fields.ts';
import { policyFields, recover } from './policy-fields.ts';
import { store } from './store-fields.ts';

const { described, list, optional, section, text } = f;

const service = section({
  name: f.name,
  ip: described('The instance that it runs on.', f.ip),
  mode: described('Its kind; fleetbeat config rules lists the known ones.', f.name),
  status: described('Its role.', f.word(ROLES)),
  cluster: optional(f.name),
  settings: described('Read by its kind.', optional(v.unknown())),
  keep: described('Whether it is recovered, whatever recover says of it.', optional(f.flag)),
});

const fingerprint = text('a fingerprint as ssh-keygen -l writes it: SHA256:…', (found) =>
  /^SHA256:[A-Za-z0-9+/]{43}$/.test(found),
);
const port = f.wholeNumber(1, 65_535);
const byIp = <const Value extends v.GenericSchema>(value: Value) => f.byName(f.ipName, value);

const FOLDER = text(
  'the absolute path of a folder, without . and ..',
  (found) => /^\/[^\p{Cc}]*[^/\p{Cc}]$/u.test(found) && posix.normalize(found) === found,
);

const fence = section({
  fleet: described('Its name among the fleets that share hosts.', optional(f.name, 'default')),
  folder: described('A folder on the hosts. Default: $HOME/.fleetbeat/fences there.', optional(FOLDER)),
});

const ssh = section({
  username: f.name,
  identityFile: described('The private key. Relative paths start at the configuration file.', f.path),
  passphrase: described('Of the private key, never itself in this file.', optional(f.secret)),
  knownHosts: described('Keys of hosts, as OpenSSH keeps them.', optional(f.path)),
  fingerprints: described(
    'By ip; they go before the known hosts.',
    optional(byIp(f.eitherOr(Array.isArray, list(fingerprint), fingerprint))),
  ),
  trustOnFirstUse: described('A file to record the first key of an unknown host in; from then on it is known.', optional(f.path)),
  port: described('One for all hosts, or by ip.', optional(f.eitherOr(isObject, byIp(port), port), 22)),
  connectMs: described('How long TCP may take to connect.', optional(f.wholeNumber(1, 600_000), 3000)),
  silentMs: described('How long a connected host may be silent.', optional(f.wholeNumber(1, 600_000), 5000)),
  parallel: described('Handshakes at once.', optional(f.wholeNumber(1, 1000), 16)),
  channels: described('Commands at once on one host.', optional(f.wholeNumber(1, 1000), 8)),
  fence: described(
    'Whether hosts shut out an earlier leader, which takes flock there. Fleets on stores of their own that share hosts need names.',
    optional(f.eitherOr(isObject, fence, f.flag), true),
  ),
});

const isKind = (value: unknown): value is AnyServiceKind =>
  isObject(value) &&
  typeof value.mode === 'string' &&
  Array.isArray(value.ladder) &&
  typeof value.settings === 'function' &&
  typeof value.probe === 'function' &&
  isObject(value.steps);

const audit = section({
  file: described('What is written to; full ones stand beside it.', f.path),
  maxBytes: described('A file of this size is full.', optional(f.wholeNumber(4096, 2 ** 40), 16 * 1024 ** 2)),
  keep: described('How many full files are kept. Default: all.', optional(f.wholeNumber(0, 1_000_000))),
});

/** All that a configuration may say. */
export const configurationSchema = section({
  clouds: described('The clouds by name.', f.byName(f.name, cloud)),
  services: described('The services of the fleet.', optional(list(service), [])),
  clusters: described('The clusters that services may name; any, where this is missing.', optional(list(f.name))),
  kinds: described(
    'In a JavaScript file: kinds of services of your own, made by defineServiceKind().',
    optional(list(v.custom<AnyServiceKind>(isKind, 'what defineServiceKind() returns, in a JavaScript file')), []),
  ),
  store: described(
    'Where what waits is kept. Default: sqlite, beside this file; with a simulated cloud memory.',
    optional(store),
  ),
  doctors: described('Who is told of every change, by the daemon.', optional(list(doctor), [])),
  bill: described('What requests to clouds cost, and how many there may be.', optional(bill, {})),
  audit: described('A log of what was seen and done, that shows whether it was changed.', optional(audit)),
  ssh: described('How instances are reached. Their host keys are always verified.', optional(ssh)),
  bootstrap: described('How rungs 4 and 5 are brought about, and told.', optional(bootstrap, {})),
  recover: described(
    'What the daemon starts by itself where it is to run and has lost a rung. Nothing, unless said.',
    optional(recover, {}),
  ),
  policy: described("The library's numbers, milliseconds where their name ends in Ms.", optional(section(policyFields), {})),
  beatEvery: described('How often a command beats until its outcome.', optional(f.duration, '2s')),
});

/** A configuration whose fields are all as they have to be. */
export type Configured = Omit<v.InferOutput<typeof configurationSchema>, 'doctors' | 'bootstrap'> & {
  readonly bootstrap: ConfiguredBootstrap;
  readonly doctors: readonly ConfiguredDoctor[];
};
export type { ConfiguredCloud } from './cloud-fields.ts';
export type ConfiguredAudit = NonNullable<Configured['audit']>;
export type ConfiguredSsh = NonNullable<Configured['ssh']>;
