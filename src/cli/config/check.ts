import * as v from 'valibot';
import type { Path } from '../../wire/refusal.ts';
import { parseDuration } from '../duration.ts';
import { allowedWords } from '../nearest.ts';
import { CLOUD_CONTRADICTIONS } from './cloud-contradictions.ts';
import { isRemote } from './cloud-fields.ts';
import { BUILT_IN_MODES, SIMULATED_MODES } from './kinds.ts';
import { configurationError, found, type Mistake, type Origin } from './mistake.ts';
import { type Configured as Asked, type ConfiguredAudit, type ConfiguredCloud, configurationSchema } from './schema.ts';
import { type ConfiguredStore, pathIn, settledStore } from './settled.ts';
import { wildnessOf } from './tame.ts';

/** What a configuration says, its files found. */
type Configured = Omit<Asked, 'store' | 'audit'> & { readonly store: ConfiguredStore; readonly audit?: ConfiguredAudit };

/** A configuration that holds together. */
export interface Configuration extends Configured {
  readonly origin: Origin;
  readonly cloud: { readonly name: string; readonly is: ConfiguredCloud };
  readonly beatEveryMs: number;
}

/**
 * Checks what a configuration file says, field by field and then each against the others.
 *
 * @throws FleetError ER0230 with the file, the path in it, what was found there and what is allowed
 */
export function check(raw: unknown, origin: Origin): Configuration {
  const wild = wildnessOf(raw);
  if (wild) throw configurationError(origin, wild);
  const { issues, output } = v.safeParse(configurationSchema, raw, { abortEarly: true });
  if (issues) throw configurationError(origin, mistakeOf(misspelt(raw, issues[0]) ?? issues[0]));
  const [active, ...others] = Object.entries(output.clouds).filter(([, cloud]) => cloud.active);
  if (!active || others.length > 0) throw configurationError(origin, notOneActive(output));
  const cloud = { name: active[0], is: active[1] };
  const { store, audit } = output;
  const configured: Configured = {
    ...output,
    store: settledStore(store, cloud.is, origin),
    ...(audit && { audit: { ...audit, file: pathIn(origin, audit.file) } }),
  };
  for (const mistakeIn of CONTRADICTIONS) {
    const mistake = mistakeIn(configured, cloud);
    if (mistake) throw configurationError(origin, mistake);
  }
  return { ...configured, origin, cloud, beatEveryMs: parseDuration(output.beatEvery) ?? 0 };
}

type Issue = v.BaseIssue<unknown>;

const pathOf = ({ path }: Issue): Path => (path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));

const isUnknownField = ({ type, expected }: Issue): boolean => type === 'strict_object' && expected === 'never';

const isMissingField = ({ type, expected }: Issue): boolean => type === 'strict_object' && expected !== 'never';

/** A field that is missing may be there under another name: then that name tells more. */
function misspelt(raw: unknown, issue: Issue): Issue | undefined {
  if (!isMissingField(issue)) return undefined;
  const sectionOf = (one: Issue) => JSON.stringify(pathOf(one).slice(0, -1));
  const { issues = [] } = v.safeParse(configurationSchema, raw);
  return issues.find((one) => isUnknownField(one) && sectionOf(one) === sectionOf(issue));
}

function mistakeOf(issue: Issue): Mistake {
  const path = pathOf(issue);
  return {
    path: isUnknownField(issue) ? path.slice(0, -1) : path,
    found: isUnknownField(issue) ? `the unknown field ${found([], issue.input)}` : found(path, issue.input),
    allowed: issue.message,
  };
}

function notOneActive({ clouds }: Asked): Mistake {
  const active = Object.entries(clouds).filter(([, cloud]) => cloud.active);
  const names = active.map(([name]) => name).join(' and ');
  return {
    path: ['clouds'],
    found: names ? `${names} active` : 'no active cloud',
    allowed: 'exactly one cloud with "active": true',
  };
}

type ActiveCloud = Configuration['cloud'];
/** What of a configuration cannot be together with the rest of it; null where nothing is wrong. */
export type Contradiction = (configured: Configured, active: ActiveCloud) => Mistake | null;

/** The first item whose value an earlier one has already. */
function repeated<Item>(items: readonly Item[], wordOf: (item: Item) => string | null): number {
  const seen = new Set<string>();
  return items.findIndex((item) => {
    const value = wordOf(item);
    return value !== null && seen.size === seen.add(value).size;
  });
}

const twice = (path: Path, value: unknown, allowed: string): Mistake => ({
  path,
  found: `${found(path, value)} again`,
  allowed,
});

const instancesOf = (cloud: ConfiguredCloud) => ('instances' in cloud ? cloud.instances : []);

const instancesAreDistinct: Contradiction = ({ clouds }) => {
  for (const [name, cloud] of Object.entries(clouds)) {
    const instances: readonly { readonly id?: string; readonly ip: string | null }[] = instancesOf(cloud);
    const ip = repeated(instances, (instance) => instance.ip);
    if (ip >= 0) return twice(['clouds', name, 'instances', ip, 'ip'], instances[ip]?.ip, 'each ip once');
    const id = repeated(instances, (instance) => instance.id ?? `local-${instance.ip}`);
    if (id >= 0) return twice(['clouds', name, 'instances', id, 'id'], instances[id]?.id, 'each id once');
  }
  return null;
};

const servicesAreDistinct: Contradiction = ({ services }) => {
  const index = repeated(services, (service) => service.name);
  return index < 0 ? null : twice(['services', index, 'name'], services[index]?.name, 'each name once');
};

const doctorsAreDistinct: Contradiction = ({ doctors }) => {
  const index = repeated(doctors, (doctor) => doctor.name);
  return index < 0 ? null : twice(['doctors', index, 'name'], doctors[index]?.name, 'each name once');
};

/** Each of them would refuse the other's file, or worse. */
const filesAreDistinct: Contradiction = ({ store, audit }) =>
  audit &&
  'driver' in store &&
  (('file' in store && store.file === audit.file) || ('journal' in store && store.journal === audit.file))
    ? twice(['audit', 'file'], audit.file, 'a file that is not the store')
    : null;

const modesAreKnown: Contradiction = ({ services, kinds }, { is: { driver } }) => {
  const own = kinds.map((kind) => kind.mode);
  const known = driver === 'simulated' ? SIMULATED_MODES : [...new Set([...own, ...BUILT_IN_MODES])];
  const index = services.findIndex(({ mode }) => !known.includes(mode));
  const mode = services[index]?.mode;
  if (mode === undefined) return null;
  const path = ['services', index, 'mode'];
  return { path, found: found(path, mode), allowed: `${allowedWords(mode, known)}; others with kinds in a JavaScript file` };
};

const clustersExist: Contradiction = ({ services, clusters }) => {
  if (!clusters) return null;
  const index = services.findIndex(({ cluster }) => cluster !== undefined && !clusters.includes(cluster));
  const cluster = services[index]?.cluster;
  if (cluster === undefined) return null;
  const path = ['services', index, 'cluster'];
  return {
    path,
    found: found(path, cluster),
    allowed: `one of clusters: ${allowedWords(cluster, clusters) || 'none is listed'}`,
  };
};

const recoveredExist: Contradiction = ({ services, recover }) => {
  const known = {
    services: services.map(({ name }) => name),
    clusters: [...new Set(services.flatMap(({ cluster }) => cluster ?? []))],
  };
  for (const [what, kind] of [
    ['services', 'services'],
    ['clusters', 'clusters'],
    ['failover', 'clusters'],
  ] as const) {
    const names = recover[what] ?? [];
    if (names === 'all') continue;
    const index = names.findIndex((name) => !known[kind].includes(name));
    const name = names[index];
    if (name === undefined) continue;
    const path = ['recover', what, index];
    const others = allowedWords(name, known[kind]) || 'there are none';
    return { path, found: found(path, name), allowed: `one of the ${kind}: ${others}` };
  }
  return null;
};

const holdDownFits: Contradiction = ({ policy: { holdDownMs, holdDownMaxMs } }) =>
  holdDownMs !== undefined && holdDownMaxMs !== undefined && holdDownMaxMs < holdDownMs
    ? {
        path: ['policy', 'holdDownMaxMs'],
        found: found(['policy', 'holdDownMaxMs'], holdDownMaxMs),
        allowed: `at least policy.holdDownMs, which is ${holdDownMs}`,
      }
    : null;

/** A cloud that cannot launch has the instances that it lists and will never have others. */
const hostsExist: Contradiction = ({ services }, { name, is: cloud }) => {
  if (cloud.driver !== 'local') return null;
  const ips = instancesOf(cloud).map(({ ip }) => ip);
  const index = services.findIndex(({ ip }) => !ips.includes(ip));
  const service = services[index];
  if (!service) return null;
  const path = ['services', index, 'ip'];
  const shownIps = ips.slice(0, 20).join(', ') || 'it has none';
  return { path, found: found(path, service.ip), allowed: `the ip of an instance of the cloud ${name}: ${shownIps}` };
};

/** An instance runs once ssh answers: without it, nothing would ever be started. */
const cloudsHaveSsh: Contradiction = ({ ssh }, { is: cloud }) =>
  (cloud.driver === 'local' || isRemote(cloud)) && !ssh
    ? {
        path: ['ssh'],
        found: 'nothing',
        allowed: `how the instances of a cloud of ${cloud.driver} are reached: username, identityFile and so on`,
      }
    : null;

const hostKeysCanBeKnown: Contradiction = ({ ssh }) => {
  if (!ssh || ssh.knownHosts !== undefined || ssh.fingerprints !== undefined || ssh.trustOnFirstUse !== undefined) return null;
  const allowed = 'knownHosts, fingerprints or trustOnFirstUse: accepting any host key is not possible';
  return { path: ['ssh'], found: 'no way to know a host by its key', allowed };
};

const bootstrapHasShell: Contradiction = ({ bootstrap, ssh }) =>
  (bootstrap.binaries || (bootstrap.agent && bootstrap.agent !== 'none')) && !ssh
    ? { path: ['bootstrap'], found: 'a bootstrap without ssh', allowed: 'with the section ssh: it is run on the instances' }
    : null;

export const isMemory = (store: Configured['store']): boolean => 'driver' in store && store.driver === 'memory';

/** Each process would have a simulated world of its own behind the one store. */
const simulatedIsAlone: Contradiction = ({ store }, { is: { driver } }) =>
  driver === 'simulated' && !isMemory(store)
    ? { path: ['store'], found: 'a shared store', allowed: 'memory with a simulated cloud, which ends with its process' }
    : null;

const CONTRADICTIONS: readonly Contradiction[] = [
  instancesAreDistinct,
  servicesAreDistinct,
  doctorsAreDistinct,
  filesAreDistinct,
  modesAreKnown,
  clustersExist,
  recoveredExist,
  holdDownFits,
  hostsExist,
  cloudsHaveSsh,
  hostKeysCanBeKnown,
  bootstrapHasShell,
  simulatedIsAlone,
  ...CLOUD_CONTRADICTIONS,
];
