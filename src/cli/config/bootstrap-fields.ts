import * as v from 'valibot';
import { isPlace } from '../../drivers/bootstrap/host.ts';
import { isReleaseVersion, isVersion, RELEASE_VERSIONS, VERSIONS } from '../../drivers/bootstrap/version.ts';
import type { BootstrapOptions } from '../../drivers/bootstrap.ts';
import { isObject } from '../../wire/json.ts';
import * as f from './fields.ts';

const { described, optional, section, text } = f;

const place = (what: string) => text(`the path of a ${what}, absolute or from ~/, without . and ..`, isPlace);
const deadlineMs = described('How long it may take on one instance.', optional(f.wholeNumber(1, 24 * 3_600_000), 600_000));

const command = section({
  argv: described('What is run on the instance to bring the rung about.', f.argv),
  marker: described('A file of the instance that says it holds.', place('file')),
  version: described(
    'What the marker has to say; another version makes instances climb again.',
    optional(text(VERSIONS, isVersion), '1'),
  ),
  deadlineMs,
});

const artefact = section({
  artefact: section({
    file: described('A tar archive of this machine, plain or by gzip. Relative paths start at the configuration file.', f.path),
    version: described(
      'Names its release; one that instances still have is switched to without the file.',
      text(RELEASE_VERSIONS, isReleaseVersion),
    ),
    sha256: described(
      'Its checksum. Default: whatever the file has.',
      optional(text('64 hex digits', (found) => /^[0-9a-f]{64}$/i.test(found))),
    ),
    to: described(
      'A folder of the instances: releases/<version> in it, and current, which leads to the one in use.',
      place('folder'),
    ),
    keep: described('How many releases stay.', optional(f.wholeNumber(1, 1000), 3)),
    argv: described('What is run in a new release before it is switched to.', optional(f.argv)),
  }),
  deadlineMs,
});

const unit = section({
  unit: section({
    to: described('A folder of the instances for the agent.', place('folder')),
    argv: described('What the agent keeps running, and beats for.', optional(f.argv)),
    everyMs: described('How often it beats, in whole seconds.', optional(f.wholeNumber(1000, 3_600_000), 5000)),
  }),
});

const binaries = v.lazy((input) => {
  if (input === undefined) return v.union([artefact, command]);
  return isObject(input) && 'artefact' in input ? artefact : command;
});

const none = v.literal('none', 'none, or an object with a unit, or with argv and marker');

const agent = v.lazy((input) => {
  if (input === undefined) return v.union([none, unit, command]);
  if (!isObject(input)) return none;
  return 'unit' in input ? unit : command;
});

type Command = v.InferOutput<typeof command>;

/** How rungs 4 and 5 are brought about. */
export interface ConfiguredBootstrap {
  readonly binaries?: v.InferOutput<typeof artefact> | Command;
  readonly agent?: v.InferOutput<typeof unit> | Command | 'none';
  readonly parallel: number;
}

export const bootstrap = section({
  binaries: described('Rung 4, bootstrapped.', optional(binaries)),
  agent: described('Rung 5, managed.', optional(agent)),
  parallel: described('Instances at once.', optional(f.wholeNumber(1, 1000), 16)),
});

/** @param pathOf where a path of the configuration leads */
export function bootstrapOf(
  { binaries: given, agent: asked }: ConfiguredBootstrap,
  pathOf: (path: string) => string,
): BootstrapOptions {
  return {
    ...(given && {
      binaries: 'artefact' in given ? { ...given, artefact: { ...given.artefact, file: pathOf(given.artefact.file) } } : given,
    }),
    ...(asked && { agent: asked }),
  };
}
