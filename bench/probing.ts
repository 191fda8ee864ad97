import { spawnSync } from 'node:child_process';
import { type Figure, figure } from './figure.ts';
import { type Hosts, startHosts } from './hosts/hosts.ts';
import type { Library } from './library.ts';
import { median } from './measure.ts';
import { sshEcho } from './peers/ssh-echo.ts';
import type { Selection } from './selection.ts';

export interface ProbingScale {
  /** Hosts that speak the protocol only. */
  readonly spoken: number;
  /** Hosts with a real sshd. */
  readonly real: number;
  readonly beats: number;
  /** Hosts that are asked by processes, which would take minutes for all of them. */
  readonly echoed: number;
}

const SCALE: ProbingScale = { spoken: 1000, real: 8, beats: 11, echoed: 60 };

/** P4: what it costs to look at hosts over ssh: a beat over kept connections, beside a process of ssh for each host. */
export async function* probing(library: Library, selection: Selection, scale = SCALE): AsyncGenerator<Figure> {
  if (!selection.covers('P4')) return;
  const hosts = await startHosts(scale);
  try {
    yield* measured(library, hosts, scale);
  } finally {
    hosts.stop();
  }
}

async function* measured(library: Library, hosts: Hosts, { spoken, beats, echoed }: ProbingScale): AsyncGenerator<Figure> {
  const sample = hosts.spoken.slice(0, echoed);
  const hasSsh = spawnSync('ssh', ['-V']).status === 0;
  const echo = async (addresses: readonly string[], atOnce?: number) => {
    if (!hasSsh || addresses.length === 0) return undefined;
    const from = performance.now();
    await sshEcho(addresses, hosts, atOnce);
    return (performance.now() - from) / addresses.length;
  };
  const perHost = (name: string, peer: string) => `${name}, for each host; ${peer}`;
  const oneByOne = 'a process of ssh … echo, one after the other';

  const all = probedFleet(library, hosts, hosts.spoken);
  const first = await all.untilUp();
  const [quiet] = await inTurns([all], beats);
  const [alone, together] = [await echo(sample), await echo(sample, 16)];
  yield figure({
    id: 'P4',
    name: perHost(`a beat over ${spoken} hosts on kept connections`, oneByOne),
    ours: quiet.ms,
    ...peerOf(alone),
    unit: 'ms',
    goal: { ratio: 0.1 },
  });
  yield figure({
    id: 'P4.parallel',
    name: perHost('the same', 'processes of ssh … echo, 16 at once'),
    ours: quiet.ms,
    ...peerOf(together),
    unit: 'ms',
    goal: { ratio: 0.1 },
  });
  yield figure({
    id: 'P4.cpu',
    name: 'the same: processor time of the process that looks, for each host',
    ours: quiet.cpuMs,
    unit: 'ms',
    goal: { ours: 0.5 },
  });
  yield figure({
    id: 'P4.first',
    name: perHost('the first beats, which connect', oneByOne),
    ours: first,
    ...peerOf(alone),
    unit: 'ms',
  });

  const beside = probedFleet(library, hosts, [...hosts.spoken, hosts.hung]);
  await beside.untilUp();
  const [without, withHung] = await inTurns([all, beside], beats);
  yield figure({
    id: 'P4.hung',
    name: 'a beat over them and one that hangs; without that one; for each host',
    ours: withHung.ms,
    peer: without.ms,
    unit: 'ms',
    goal: { ratio: 1.5 },
  });
  await Promise.all([all.stop(), beside.stop()]);

  if (hosts.real.length === 0) return;
  const real = probedFleet(library, hosts, hosts.real);
  await real.untilUp();
  const [quick] = await inTurns([real], beats);
  yield figure({
    id: 'P4.sshd',
    name: perHost(`a beat over ${hosts.real.length} real sshds`, oneByOne),
    ours: quick.ms,
    ...peerOf(await echo(hosts.real)),
    unit: 'ms',
    goal: { ratio: 0.1 },
  });
  await real.stop();
}

/** How long hosts may take until all of them answer. */
const PATIENCE_MS = 60_000;

const peerOf = (peer: number | undefined) => (peer === undefined ? {} : { peer });

/** Of a beat, in milliseconds for each host: its own time, and the processor's. */
interface Spent {
  readonly ms: number;
  readonly cpuMs: number;
}

/** The first beats open the shells that are kept, and find out who hangs. */
const WARM_UP = 3;

/** Beats of several fleets in turn, so that whatever slows the machine for a while slows all of them. @returns the medians of each */
async function inTurns<const F extends readonly { beat(): Promise<Spent> }[]>(
  fleets: F,
  count: number,
): Promise<{ readonly [I in keyof F]: Spent }> {
  const samples = fleets.map((): Spent[] => []);
  for (let i = -WARM_UP; i < count; i++)
    for (const [n, fleet] of fleets.entries()) {
      const spent = await fleet.beat();
      if (i >= 0) samples[n]?.push(spent);
    }
  const medians = samples.map((those) => ({
    ms: median(those.map(({ ms }) => ms)),
    cpuMs: median(those.map(({ cpuMs }) => cpuMs)),
  }));
  return medians as unknown as { readonly [I in keyof F]: Spent };
}

/** A fleet that looks at these hosts, and nothing else. */
function probedFleet(library: Library, hosts: Hosts, addresses: readonly string[]) {
  const { username, privateKey, port, knownHosts, hung } = hosts;
  const shell = library.ssh({ username, privateKey, port, knownHosts });
  const cloud = library.local({ instances: addresses.map((ip) => ({ ip })) });
  const fleet = library.createFleet({ drivers: { instances: [library.probed(cloud, shell)] }, store: library.memory() });
  const wanted = addresses.filter((ip) => ip !== hung).length;
  const countUp = () => fleet.views().filter(({ holds }) => holds.has('ssh-up')).length;

  return {
    /** @returns the milliseconds for each host until all are up */
    async untilUp(): Promise<number> {
      const from = performance.now();
      // By time, not by beats: one that waits for nobody takes no time, while a host is still being reached beside it.
      while (countUp() < wanted) {
        if (performance.now() - from > PATIENCE_MS) throw new Error(`${countUp()} of ${wanted} hosts are up`);
        await fleet.beat();
      }
      return (performance.now() - from) / wanted;
    },
    /** @returns what a beat took for each host */
    async beat(): Promise<Spent> {
      const [from, cpuFrom] = [performance.now(), process.cpuUsage()];
      await fleet.beat();
      const { user, system } = process.cpuUsage(cpuFrom);
      if (countUp() < wanted) throw new Error(`${countUp()} of ${wanted} hosts are up`);
      return { ms: (performance.now() - from) / wanted, cpuMs: (user + system) / 1000 / wanted };
    },
    async stop() {
      await fleet.stop();
      await shell.close();
    },
  };
}
