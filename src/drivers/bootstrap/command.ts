import { excerpt } from '../../domain/excerpt.ts';
import { FleetError } from '../../errors.ts';
import { isPlace, type Rung, runScript } from './host.ts';
import { isVersion, VERSIONS } from './version.ts';

/** A rung that a command brings about, and a file keeps. */
export interface BootstrapRung {
  /** Run on the host by its user; it may be run again after it has failed half-way. */
  readonly argv: readonly string[];
  /** A file on the host: the rung holds while its first line is `version`. It is written once argv has ended with 0. Absolute, or from `~/`. */
  readonly marker: string;
  /** Another version makes hosts climb again. Default `1`. */
  readonly version?: string;
  /** How long argv may take. Default 600000. */
  readonly deadlineMs?: number;
}

/** @throws FleetError ER0230 for a rung that could not be brought about or known */
export function commandRung(name: string, { argv, marker, version = '1', deadlineMs = 600_000 }: BootstrapRung): Rung {
  const refuse = (detail: string) => new FleetError('ER0230', `the bootstrap of the ${name} ${detail}`);
  if (!argv[0]) throw refuse('has no program in its argv');
  if (!isPlace(marker))
    throw refuse(`needs the absolute path of a file, or one from ~/, as its marker, found ${JSON.stringify(excerpt(marker))}`);
  if (!isVersion(version)) throw refuse(`has a version of ${VERSIONS}, found ${JSON.stringify(excerpt(version))}`);
  return {
    name,
    mark: ['file', marker],
    version,
    async climb(host) {
      const words = [marker, version, ...argv];
      await runScript(host, CLIMB, words, { what: `the bootstrap of its ${name}`, deadlineMs });
    },
  };
}

/**
 * Words: marker, version, argv. Runs the argv and writes the marker, unless it is there. One command for all three, so that a leader
 * that had to wait for another's bootstrap does not repeat it, nor find it done and unmarked. The argv keeps its own umask and words.
 */
const CLIMB = `
case $1 in '~/'*) marker=$HOME/\${1#'~/'} ;; *) marker=$1 ;; esac
version=$2
shift 2
[ "$(head -n 1 "$marker" 2>/dev/null)" != "$version" ] || exit 0
"$@" || exit
mkdir -p "$(dirname "$marker")" && echo "$version" >"$marker.part" && chmod 644 "$marker.part" && mv -f "$marker.part" "$marker"
`;
