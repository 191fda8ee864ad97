import { posix } from 'node:path';
import type { Permit, Shell, ShellResult } from '../contracts.ts';
import { saysDiskFull } from '../domain/disk-full.ts';
import { excerpt } from '../domain/excerpt.ts';
import { type Ip, isName } from '../domain/identity.ts';
import { FleetError } from '../errors.ts';
import { FENCE, FENCE_EXIT } from './fence-script.ts';

export interface FenceOptions {
  /** Fleets on stores of their own count their fences apart, so that on hosts they share each needs a name. Default `default`. */
  readonly fleet?: string;
  /** The absolute path of a folder on the hosts, writable for the user of the shell. Default `$HOME/.fleetbeat/fences` there. */
  readonly folder?: string;
}

/**
 * A shell for one effect: a host on which a newer leader has acted refuses its commands and files, and what was begun there under
 * an older fence ends before they run. What one leader begins runs side by side.
 *
 * Half of a command's deadline may pass waiting for an older leader's. A refusal is an ER0211; ER0212 where the wait was too long,
 * ER0231 where the host has no `flock` (util-linux, busybox), ER0270 where its disk is full, ER0018 where its fence cannot be kept
 * for another reason: then nothing was run. Whether the permit is still valid is for the caller to ask, before each effect.
 *
 * @throws FleetError ER0230 for a fleet or folder that cannot be one, ER0222 for a fence that is no count
 * @example
 * ```ts
 * await fencedShell(shell, permit).run(ip, ['systemctl', 'restart', 'nginx'], { deadlineMs: 30_000 }, signal);
 * ```
 */
export const fencedShell = (shell: Shell, permit: Permit, options: FenceOptions = {}): Shell => fencing(shell, options)(permit);

/** How a driver gives each effect its shell; with `false`, the one that it has. */
export function fencing(shell: Shell, options: FenceOptions | false): (permit: Permit) => Shell {
  if (options === false) return () => shell;
  const place = readPlace(options);
  return (permit) => fenced(shell, fenceOf(permit), place);
}

interface Place {
  readonly fleet: string;
  /** Empty for the default, which only the host can tell. */
  readonly folder: string;
}

function fenced(shell: Shell, fence: number, { fleet, folder }: Place): Shell {
  const run: Shell['run'] = async (ip, argv, options, signal) => {
    const tenths = Math.floor(options.deadlineMs / 200);
    const words = [folder, fleet, String(fence), String(tenths), ...argv];
    const result = await shell.run(ip, ['sh', '-c', FENCE, 'sh', ...words], options, signal);
    const [, reason, found] = (result.exit === FENCE_EXIT && REFUSAL.exec(result.stderr)) || [];
    if (reason === undefined) return result;
    throw refusal(ip, reason, found ?? '', fence, result);
  };

  return {
    reachable: (ip, signal) => shell.reachable(ip, signal),
    run,
    /** Brought beside its place first, so that only the last step, which takes no time, has to be fenced. */
    async put(ip, path, bytes, mode, signal) {
      const beside = posix.join(posix.dirname(path), `.fleetbeat-${crypto.randomUUID()}`);
      await shell.put(ip, beside, bytes, mode, signal);
      try {
        const { exit, stderr } = await run(ip, ['sh', '-c', PLACE, 'sh', beside, path], { deadlineMs: PLACE_MS }, signal);
        if (exit !== 0)
          throw new FleetError('ER0018', `writing ${excerpt(path)} on ${ip} ended with ${exit}: ${excerpt(stderr)}`);
      } catch (error) {
        // Whether or not it can be taken away again, the news is that it was not placed.
        await Promise.allSettled([shell.run(ip, ['rm', '-f', beside], { deadlineMs: PLACE_MS }, signal)]);
        throw error;
      }
    },
  };
}

const PLACE = '[ ! -d "$2" ] || { echo "is a directory" >&2; exit 1; }; mv -f "$1" "$2"';
const PLACE_MS = 30_000;

const REFUSAL = /^fleetbeat-fence (\S+)(?: (\d+))?$/m;

function refusal(ip: Ip, reason: string, found: string, fence: number, { stderr }: ShellResult): FleetError {
  switch (reason) {
    case 'newer':
      return new FleetError('ER0211', `a newer leader has acted on ${ip}: it has seen the fence ${found}, ours is ${fence}`);
    case 'busy':
      return new FleetError('ER0212', `${ip}: what the leader of the fence ${found || fence} has begun still runs`, {
        retryable: true,
      });
    case 'no-flock':
      return new FleetError('ER0231', `${ip} has no flock (util-linux, busybox), without which no fence is kept there`);
    default:
      return new FleetError(
        saysDiskFull(stderr) ? 'ER0270' : 'ER0018',
        `the fence on ${ip} is ${excerpt(reason)}: ${excerpt(stderr)}`,
        { retryable: true },
      );
  }
}

const FOLDER = /^\/[^\p{Cc}]*[^/\p{Cc}]$/u;

function readPlace({ fleet = 'default', folder = '' }: FenceOptions): Place {
  if (!isName(fleet))
    throw new FleetError('ER0230', `the fleet of a fence has letters, digits, . _ -, found ${JSON.stringify(fleet)}`);
  if (folder !== '' && (!FOLDER.test(folder) || posix.normalize(folder) !== folder))
    throw new FleetError(
      'ER0230',
      `the folder of fences is an absolute path without . and .., found ${JSON.stringify(excerpt(folder))}`,
    );
  return { fleet, folder };
}

function fenceOf({ fence }: Permit): number {
  if (Number.isSafeInteger(fence) && fence >= 0) return fence;
  throw new FleetError('ER0222', `a fence counts from 0, found ${fence}`);
}
