import { randomBytes } from 'node:crypto';
import { createFleet, type Fleet, probed } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { isThorough } from '../properties/runs.ts';
import { makeArchive } from '../support/archives.ts';
import { type CountingShell, countingShell } from '../support/counting-shell.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';

const MACHINES = isThorough ? 40 : 6;
const never = new AbortController().signal;
const isRoot = process.getuid?.() === 0;

/** A disk of its own, on which the archive has no room beside a filler. */
const DISK = { folder: 'shop', mebibytes: 8 };
const FILL = 'head -c 6000000 /dev/zero >~/shop/filler';

requires('sshd')('a bootstrap of a whole fleet', () => {
  const user = makeSshKey();
  const file = makeArchive('shop-1.tar.gz', { 'bin/shop': 'one', blob: randomBytes(2 * 2 ** 20) });
  let hosts: readonly SshdServer[];
  let plain: SshShell;
  let shell: CountingShell;
  let fleet: Fleet;

  beforeAll(async () => {
    hosts = await Promise.all(
      Array.from({ length: MACHINES }, (_, i) =>
        startSshd({ address: loopback(i + 1), authorizedKeys: [user.publicKey], ...(i === 1 && isRoot && { disk: DISK }) }),
      ),
    );
    plain = ssh({
      username: hosts[0]?.username ?? '',
      privateKey: user.privateKey,
      port: new Map(hosts.map(({ address, port }) => [address, port])),
      knownHosts: hosts.map((host) => host.knownHostsLine()).join('\n'),
      silentMs: 2000,
    });
    shell = countingShell(plain);
    fleet = createFleet({
      drivers: {
        instances: [
          probed(local({ instances: hosts.map(({ address }) => ({ ip: address })) }), shell, {
            bootstrap: { binaries: { artefact: { file, version: '1', to: '~/shop' } } },
          }),
        ],
      },
      store: memory(),
      policy: { attempts: 1, callAttempts: 1, backoffMs: 50, backoffMaxMs: 100 },
    });
  });
  afterAll(async () => {
    await fleet.stop();
    await plain.close();
    await Promise.all(hosts.map((host) => host.stop()));
  });

  const isUp = (rung: string) =>
    fleet
      .views()
      .filter(({ holds }) => holds.has(rung))
      .map(({ ip }) => ip);

  async function beatUntil(done: () => boolean): Promise<void> {
    for (let i = 0; i < 600 && !done(); i++) await fleet.beat();
    expect(done()).toBe(true);
  }

  /** Bootstraps all, and beats until each has come to its end. */
  async function bootstrapAll() {
    const reply = await fleet.dispatch({ level: 'instances', action: 'bootstrap_binaries', group: 'all' });
    const ids = [...reply.started, ...reply.deferred].map(({ id }) => id);
    const ended = Promise.all(ids.map((id) => fleet.settled(id)));
    let isOver = false;
    ended.finally(() => {
      isOver = true;
    });
    await beatUntil(() => isOver);
    return ended;
  }

  const ask = (host: SshdServer, script: string) =>
    plain.run(parseIp(host.address) as Ip, ['sh', '-c', script], { deadlineMs: 5000 }, never);

  test.runIf(isRoot || isThorough)(
    `of ${MACHINES}, one hung and one with a full disk, brings it to all others and says why not to these; run again it touches only these`,
    async () => {
      const [hung, full, ...sound] = hosts;
      if (!hung || !full) throw new Error('there are not enough machines');
      await beatUntil(() => isUp('ssh-up').length === MACHINES);
      await ask(full, FILL);
      hung.freeze();
      const [from, cpuFrom] = [performance.now(), process.cpuUsage()];
      const first = await bootstrapAll();
      const seconds = ((performance.now() - from) / 1000).toFixed(1);
      const { user: own, system } = process.cpuUsage(cpuFrom);
      process.stdout.write(
        `bootstrap of ${MACHINES} machines: ${seconds} s, ${((own + system) / 1e6).toFixed(2)} s of CPU here\n`,
      );

      const failed = first.filter(({ status }) => status !== 'done');
      const reasons = failed
        .map(({ history }) => history.at(-1)?.message ?? '')
        .toSorted((a, b) => Number(a.includes('ssh')) - Number(b.includes('ssh')));
      expect(first).toHaveLength(MACHINES);
      expect(reasons).toEqual([
        expect.stringMatching(/ has \d+ bytes left, the artefact needs \d+$/),
        expect.stringMatching(/ ssh does not answer: silent$/),
      ]);
      expect(isUp('bootstrapped').toSorted()).toEqual(sound.map(({ address }) => address).toSorted());
      for (const host of sound) expect(shell.asked(host.address)).toEqual({ runs: expect.any(Number), puts: 1 });

      shell.forget();
      hung.thaw();
      await ask(full, 'rm ~/shop/filler');
      await beatUntil(() => isUp('ssh-up').length === MACHINES);
      const again = await bootstrapAll();
      expect(again.map(({ status }) => status)).toEqual(['done', 'done']);
      expect(isUp('bootstrapped')).toHaveLength(MACHINES);
      for (const host of sound) expect(shell.asked(host.address)).toEqual({ runs: 0, puts: 0 });
      for (const host of [hung, full]) expect(shell.asked(host.address).puts).toBe(1);
    },
    120_000,
  );
});
