import { type KindTraits, membersOf } from './cluster.ts';
import { serviceKey } from './identity.ts';
import type { Inventory } from './inventory.ts';
import { DEFAULT_POLICY, type Policy } from './policy.ts';
import type { Service } from './service.ts';
import { refusalOf } from './ssh.ts';
import type { View } from './view.ts';

/** Who may say that a master is lost: its instance's provider, ssh, SQL from here, SQL from those who follow it. */
export type Witness = 'provider' | 'ssh' | 'sql' | 'replicas';

export interface Testimony {
  readonly witness: Witness;
  readonly says: 'lost' | 'there' | 'nothing';
  /** What it has seen, for a person. */
  readonly seen: string;
}

/** What is believed of the loss of a master. */
export interface Loss {
  readonly isConfirmed: boolean;
  /** Whether somebody says that it is there. */
  readonly isDenied: boolean;
  /** Whether that is so, or somebody may yet say whether. */
  readonly isOpen: boolean;
  /** Who has seen what, for a person. */
  readonly text: string;
}

interface Around {
  readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'isBlind' | 'hasRead'>;
  readonly services: readonly Service[];
  readonly kinds: ReadonlyMap<string, KindTraits>;
  readonly policy?: Pick<Policy, 'witnesses'>;
}

/**
 * Whether the master of a cluster is lost. One who hears it is right: whoever does not may only be cut off himself. That its
 * provider says running, or its host answers, says nothing of it.
 */
export function lookAtLoss(master: Service, around: Around): Loss {
  const { witnesses } = around.policy ?? DEFAULT_POLICY;
  const testimonies = testimoniesOf(master, around);
  const lost = testimonies.filter(({ says }) => says === 'lost').length;
  const isDenied = testimonies.some(({ says }) => says === 'there');
  const text = testimonies.map(({ witness, seen }) => `${NAMES[witness]}: ${seen}`).join('; ');
  const count = isDenied ? 'it is there' : `${lost} of ${witnesses} witnesses that are wanted say so`;
  const isOpen = isDenied || followersOf(master, around).some(({ hears }) => hears === null);
  return { isConfirmed: !isDenied && lost >= witnesses, isDenied, isOpen, text: `${count} (${text})` };
}

const NAMES = {
  provider: 'its provider',
  ssh: 'ssh',
  sql: 'SQL from here',
  replicas: 'its replicas',
} as const satisfies Record<Witness, string>;

export function testimoniesOf(master: Service, around: Around): readonly Testimony[] {
  const host = around.inventory.atIp(master.ip);
  return [ofProvider(host, around), ofSsh(host, around), ofSql(master, around), ofReplicas(master, around)];
}

/** Off, or about to be, in the provider's own words. */
const OFF: ReadonlySet<string> = new Set(['stopping', 'stopped', 'shutting-down', 'terminated', 'absent']);

type Host = ReturnType<Inventory['atIp']>;

function ofProvider(host: Host, { inventory }: Around): Testimony {
  const say = (says: Testimony['says'], seen: string): Testimony => ({ witness: 'provider', says, seen });
  if (host === 'none') return inventory.hasRead('instances') ? say('lost', 'it is gone') : say('nothing', 'not read');
  if (host === 'conflict') return say('nothing', 'two instances report its address');
  if (inventory.isBlind(host)) return say('nothing', 'it does not answer');
  return OFF.has(host.state) ? say('lost', host.state) : say('nothing', host.raw ?? 'it does not say');
}

function ofSsh(host: Host, { inventory }: Around): Testimony {
  const say = (says: Testimony['says'], seen: string): Testimony => ({ witness: 'ssh', says, seen });
  if (typeof host === 'string' || inventory.isBlind(host)) return say('nothing', 'not tried');
  if (host.state !== 'unreachable') return say('nothing', host.holds.has('running') ? 'its host answers' : 'not tried');
  const refusal = refusalOf(host.code);
  // Whoever refuses, or shows another key, is there.
  return refusal === 'timeout' || refusal === 'silent' ? say('lost', refusal) : say('nothing', refusal ?? host.code);
}

function ofSql({ name }: Service, { inventory }: Around): Testimony {
  const say = (says: Testimony['says'], seen: string): Testimony => ({ witness: 'sql', says, seen });
  const view = inventory.get(serviceKey(name));
  if (!view || view.source === null || inventory.isBlind(view)) return say('nothing', 'not asked');
  const isThere = view.holds.has('up') || view.code === DISK_FULL;
  return isThere ? say('there', view.state) : say('lost', view.reason ?? view.state);
}

const DISK_FULL = 'ER0270';

function ofReplicas(master: Service, around: Around): Testimony {
  const say = (says: Testimony['says'], seen: string): Testimony => ({ witness: 'replicas', says, seen });
  const followers = followersOf(master, around);
  const hearing = followers.filter(({ hears }) => hears === true);
  if (hearing.length > 0) return say('there', `heard by ${names(hearing)}`);
  const missing = followers.filter(({ hears }) => hears === false);
  return missing.length > 0 ? say('lost', `not heard by ${names(missing)}`) : say('nothing', 'none can say');
}

const followersOf = ({ cluster = '' }: Service, around: Around) =>
  membersOf(cluster, around).flatMap(({ name }) => {
    const view = around.inventory.get(serviceKey(name));
    return isSeen(view, around.inventory) && view.following ? [{ name, ...view.following }] : [];
  });

const names = (some: readonly { readonly name: string }[]): string => some.map(({ name }) => name).join(', ');

const isSeen = (view: View | undefined, inventory: Pick<Inventory, 'isBlind'>): view is View =>
  view !== undefined && view.source !== null && view.state !== 'unknown' && !inventory.isBlind(view);

/** Whether a replica could take the place of a master that it does not hear. */
export function isReadyToSucceed({ name, status }: Service, { inventory }: Pick<Around, 'inventory'>): boolean {
  const view = inventory.get(serviceKey(name));
  if (status !== 'slave' || !isSeen(view, inventory) || !view.holds.has('up')) return false;
  return view.following?.hears === false && view.following.isFit;
}

/** What there is to be done about a master that is lost. */
export type Remedy =
  | { readonly is: 'start' }
  | { readonly is: 'failover'; readonly to: Service }
  /** Its host does not run, yet somebody hears it or may still: perhaps only for as long as a connection takes to be missed. */
  | { readonly is: 'wait'; readonly why: string; readonly isHeard: boolean };

/** Another takes the place of a master that is lost for certain, where one can; what has only died is started. */
export function remedyFor(master: Service, around: Around): Remedy {
  const { inventory, kinds } = around;
  if (kinds.get(master.mode)?.canFailOver !== true || master.cluster === undefined) return { is: 'start' };
  const loss = lookAtLoss(master, around);
  const to = membersOf(master.cluster, around).find((one) => isReadyToSucceed(one, around));
  if (loss.isConfirmed && to) return { is: 'failover', to };
  const host = inventory.atIp(master.ip);
  const isHostUp = typeof host === 'object' && host.holds.has('running');
  return loss.isOpen && !isHostUp ? { is: 'wait', why: loss.text, isHeard: loss.isDenied } : { is: 'start' };
}
