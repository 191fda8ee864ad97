/** One way in which the engine could be wrong: a text of a source file, and what stands there instead. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

/** What the simulation has to notice. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'claim without lease',
    file: 'src/claims.ts',
    text: "if (!isTerm(fence) || !(await take(id, fence))) return { outcome: 'lost' };",
    instead: '',
  },
  {
    name: 'remove before success',
    file: 'src/claims.ts',
    text: 'held.set(id, textOf(fence));',
    instead: 'held.set(id, textOf(fence)); await store.delete(`a:${id}`);',
  },
  {
    name: 'remove on failure',
    file: 'src/queue.ts',
    text: 'if (isEnded(action)) await forget(armingOf(action));',
    instead: "if (isEnded(action) || action.status === 'failed') await forget(armingOf(action));",
  },
  {
    name: 'arm without store',
    file: 'src/queue.ts',
    text: 'if (await store.add(itemKey(id), text)) break;',
    instead: 'break;',
  },
  {
    name: 'fire on a stale view',
    file: 'src/domain/trigger.ts',
    text: 'readAt !== null && (readAt >= at.armedAt || at.now - readAt <= at.policy.freshMs)',
    instead: 'readAt !== null',
  },
  {
    name: 'fire on another ip',
    file: 'src/domain/inventory.ts',
    text: "return level === 'services' ? services.atIp(subject.ip) : tenantOf(subject.ip);",
    instead: "return level === 'services' ? services.atIp(subject.ip) : [...instances.views()][0];",
  },
  {
    name: 'skip the lane',
    file: 'src/domain/lanes.ts',
    text: 'return passesLane(action.do) || lane.every((other) => byPlace(other, action) >= 0 || !holdsLane(other));',
    instead: 'return true;',
  },
  {
    name: 'renew with set instead of swap',
    file: 'src/lease.ts',
    text: 'if (!(await store.swap(KEY, found, text))) return false;',
    instead: 'await store.set(KEY, text);',
  },
  {
    name: 'forget the token on retry',
    file: 'src/queue.ts',
    text: 'const action: Action = { ...item.action, ...patch };',
    instead:
      "const renamed = patch.status === 'backing-off' ? asToken(`${item.action.token}.${armingOf(item.action)}`) : item.action.token; const action: Action = { ...item.action, ...patch, token: renamed };",
  },
  {
    name: 'drop the trigger of a deferred-again action',
    file: 'src/dispatch.ts',
    text: "return { outcome: 'deferred', action: { ...action, when: last.when } };",
    instead: "return { outcome: 'deferred', action: { ...action, when: { on: 'now' } } };",
  },
];
