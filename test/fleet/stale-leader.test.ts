import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asActionId } from 'fleetbeat';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  loopback,
  type MemcachedServer,
  makeSshKey,
  requires,
  type SshdServer,
  startMemcached,
  startSshd,
} from '../support/servers.ts';
import { EFFECTS, type EffectName, type StaleFleetOptions, staleFleet } from '../support/stale-fleet.ts';
import { type StaleLeader, startStaleLeader } from '../support/stale-leader.ts';

const ONCE_EACH = EFFECTS.flatMap((effect) => [`${effect} begins`, `${effect} ends`]);
const SOON = { timeout: 10_000, interval: 10 };

requires('sshd')('a leader that is stopped and continued past its lease', () => {
  const user = makeSshKey();
  let store: MemcachedServer;
  let sshd: SshdServer;
  let options: StaleFleetOptions;
  let leader: StaleLeader;
  let count = 0;
  beforeAll(async () => {
    [store, sshd] = await Promise.all([startMemcached(), startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] })]);
  });
  afterAll(() => Promise.all([store.stop(), sshd.stop()]));
  beforeEach(() => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-stale-'));
    options = {
      memcached: store.address,
      username: sshd.username,
      privateKey: user.privateKey,
      knownHosts: sshd.knownHostsLine(),
      port: sshd.port,
      ip: sshd.address,
      name: `fleet${++count}`,
      folder,
    };
  });
  afterEach(async () => {
    await leader.kill();
    rmSync(options.folder, { recursive: true });
  });

  const written = () => {
    const file = join(options.folder, 'ran');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };
  /** The highest fence that the host has seen. */
  const fence = () => {
    const file = join(sshd.home, '.fleetbeat/fences', options.name, 'fence');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  };
  const toldOf = (key: string) => leader.told.find((told) => key in told);

  /** Another fleet takes over from a leader that stands still; the leader is continued meanwhile; all comes to its end. */
  async function takeOver(letGo: () => void = () => {}): Promise<void> {
    const { fleet, shell } = staleFleet(options);
    const stale = fence();
    fleet.start(50);
    try {
      await expect.poll(() => fleet.role, SOON).toBe('leader');
      // It has acted on the host, or nothing is left to be done.
      await expect.poll(() => fence() > stale || fleet.actions().length === 0, SOON).toBe(true);
      leader.goOn();
      letGo();
      await expect.poll(() => fleet.actions().length, SOON).toBe(0);
      await expect.poll(() => toldOf('role'), SOON).toBeDefined();
      const ids = leader.told.flatMap((told) => ('dispatched' in told ? told.dispatched : []));
      expect(ids.length).toBeGreaterThan(0);
      for (const id of ids) {
        const action = await fleet.settled(asActionId(id));
        expect(action).toMatchObject({ status: 'done', attempts: 0 });
      }
      expect(fleet.views().find(({ name }) => name === 'recorder')).toMatchObject({ state: 'up' });
    } finally {
      await fleet.stop();
      await shell.close();
    }
  }

  test.each<EffectName>(['binaries', 'agent', 'up'])(
    'before it sends "%s" is refused by the host, where it is done once',
    async (effect) => {
      leader = startStaleLeader({ ...options, stop: { when: 'before', effect } });
      await expect.poll(() => leader.isStopped(), SOON).toBe(true);
      await takeOver();
      await expect.poll(() => toldOf('exit'), SOON).toMatchObject({ exit: 120, stderr: expect.stringContaining('newer') });
      expect(written()).toEqual(ONCE_EACH);
    },
  );

  test.each<EffectName>(['binaries', 'up'])(
    'while "%s" runs on the host lets it end, and nothing of it is done twice',
    async (effect) => {
      const hold = join(options.folder, `hold-${effect}`);
      writeFileSync(hold, '');
      leader = startStaleLeader(options);
      await expect.poll(written, SOON).toContain(`${effect} begins`);
      leader.stop();
      await takeOver(() => rmSync(hold));
      expect(written()).toEqual(ONCE_EACH);
    },
  );

  test.each<EffectName>(['binaries', 'up'])('before it notes that "%s" is done finds it done, once', async (effect) => {
    leader = startStaleLeader({ ...options, stop: { when: 'after', effect } });
    await expect.poll(() => leader.isStopped(), SOON).toBe(true);
    await takeOver();
    expect(written()).toEqual(ONCE_EACH);
  });
});
