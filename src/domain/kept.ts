import { type Command, type Do, doText } from './command.ts';
import { type EntityKey, type Ip, levelOf, nameOf, wantedOf } from './identity.ts';
import type { Inventory } from './inventory.ts';
import { ipOf } from './lanes.ts';
import type { Standing } from './recovery.ts';
import type { Service } from './service.ts';

/** What is known of the services that are kept, as the store has it. */
export interface KeptRecord {
  /** Those that have been well, or were started: they are to run. */
  readonly run: readonly string[];
  /** What a command has stopped since, by name or ip, and which command. */
  readonly off: readonly { readonly name?: string; readonly ip?: string; readonly by: string }[];
  /** Of those that are not simply well, by name. */
  readonly standings: Readonly<Record<string, Standing>>;
}

export const NOTHING_KEPT: KeptRecord = { run: [], off: [], standings: {} };

/** That a service, or an instance with all that is on it, is to run from now on, or not any more. */
export interface Intent {
  readonly of: { readonly name: string } | { readonly ip: Ip };
  readonly isToRun: boolean;
  readonly by: string;
}

const TO_RUN: Readonly<Record<string, boolean>> = {
  start: true,
  restart: true,
  sync: true,
  join: true,
  launch: true,
  reboot: true,
  stop: false,
  remove: false,
  terminate: false,
};

/** What a command says about what is to run, of those of its targets that it was not refused for. */
export function intentsOf(
  { level, action }: Command,
  targets: readonly EntityKey[],
  inventory: Pick<Inventory, 'get'>,
): readonly Intent[] {
  const isToRun = Object.hasOwn(TO_RUN, action) ? TO_RUN[action] : undefined;
  if (isToRun === undefined) return [];
  return targets.flatMap((key): readonly Intent[] => {
    const by = `${level} ${action} ${nameOf(key)}`;
    if (levelOf(key) === 'services') return [{ of: { name: nameOf(key) }, isToRun, by }];
    const ip = wantedOf(key)?.ip ?? inventory.get(key)?.ip ?? null;
    return ip === null ? [] : [{ of: { ip }, isToRun, by }];
  });
}

/** The same of a step that is armed by itself. */
export function intentOf(what: Do, inventory: Pick<Inventory, 'get'>): readonly Intent[] {
  const isToRun = Object.hasOwn(TO_RUN, what.verb) ? TO_RUN[what.verb] : undefined;
  if (isToRun === undefined) return [];
  const by = doText(what);
  if (what.level === 'services') return [{ of: { name: what.name }, isToRun, by }];
  const ip = ipOf(what, inventory);
  return ip === null ? [] : [{ of: { ip }, isToRun, by }];
}

/** Why a service is not to run, or null. */
export function offReason({ name, ip }: Pick<Service, 'name' | 'ip'>, { off, run }: KeptRecord): string | null {
  const entry = off.find((one) => one.name === name || one.ip === ip);
  if (entry) return `not to run since ${entry.by}`;
  return run.includes(name) ? null : 'it has never been well; start it once';
}

/**
 * The record after commands: the last one about a service decides. One that starts a service starts its instance too; what else was
 * stopped with that instance stays stopped. Whoever starts a service has acknowledged what became of it.
 */
export function wantedAfter(intents: readonly Intent[], stored: KeptRecord, kept: readonly Service[]): KeptRecord | null {
  const next = intents.reduce((record, intent) => after(intent, record, kept), stored);
  return JSON.stringify(next) === JSON.stringify(stored) ? null : next;
}

function after({ of, isToRun, by }: Intent, stored: KeptRecord, kept: readonly Service[]): KeptRecord {
  if ('ip' in of) {
    const off = stored.off.filter(({ ip }) => ip !== of.ip);
    return { ...stored, off: isToRun ? off : [...off, { ip: of.ip, by }] };
  }
  const { name } = of;
  const service = kept.find((one) => one.name === name);
  if (!service) return stored;
  const others = stored.off.filter((entry) => entry.name !== name);
  if (!isToRun) return { ...stored, off: [...others, { name, by }] };
  const stopped = others.find(({ ip }) => ip === service.ip);
  const besides = stopped ? kept.filter((one) => one.ip === service.ip && one.name !== name) : [];
  const off = [
    ...others.filter((entry) => entry !== stopped),
    ...besides
      .filter((one) => !others.some((entry) => entry.name === one.name))
      .map((one) => ({ name: one.name, by: stopped?.by ?? by })),
  ];
  return clearedOf({ ...stored, off, run: [...new Set([...stored.run, name])].sort() }, [name]);
}

/** The record without what became of earlier recoveries of these services. */
const clearedOf = (stored: KeptRecord, names: readonly string[]): KeptRecord => ({
  ...stored,
  standings: Object.fromEntries(Object.entries(stored.standings).filter(([name]) => !names.includes(name))),
});
