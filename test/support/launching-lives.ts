import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { asInstant } from 'fleetbeat';
import { type SimulatedCloud, seededRandom, simulatedCloud } from 'fleetbeat/testing';
import type { LaunchOrders } from './launching-process.ts';
import { forgetPid, recordPid, serverFolder } from './run-folder.ts';

/** When a process is killed, by its request to launch. */
export const KILLS = ['before it arrives', 'while it is on its way', 'before its answer', 'after its answer'] as const;
export type Kill = (typeof KILLS)[number];

export interface KilledLaunch {
  readonly cloud: SimulatedCloud;
  /** How often a process was killed. */
  readonly kills: number;
}

/** As long as a test may take: nothing that was launched shows by itself before. */
const HIDDEN_MS = 600_000;

/**
 * Has an instance launched by processes of which the first is killed at its request to launch, and the second, by the seed, at its
 * own: over HTTP, by a simulated EC2 that loses answers, and shows nothing of what it has launched until it was asked again.
 */
export async function launchThroughKills(program: string, seed: number, kill: Kill): Promise<KilledLaunch> {
  const random = seededRandom(seed).fork(kill);
  let aheadMs = 0;
  const cloud = simulatedCloud({
    seed,
    now: () => asInstant(Date.now() + aheadMs),
    latency: { ms: { pending: [20, 60], stale: [HIDDEN_MS, HIDDEN_MS], answer: [2, 10] } },
    eventualConsistency: 1,
    errors: { replyLost: 0.1, requestLost: 0.1 },
    overlappingIps: true,
  });
  const folder = serverFolder('launch');
  const log = join(folder, 'acknowledged');
  const endpoint = await cloud.listen();
  let child: ChildProcess | null = null;
  let due: Kill[] = [kill, ...(random.chance(0.3) ? [KILLS[random.between(0, KILLS.length - 1)] ?? kill] : [])];
  let kills = 0;

  function killNow(): void {
    kills++;
    due = due.slice(1);
    child?.kill('SIGKILL');
  }

  /** What is in front of the cloud: it knows which request is which, and kills whoever sent it. */
  const proxy = createServer(async (asked, response) => {
    const body = await textOf(asked);
    const isLaunch = /(?:^|&)Action=RunInstances(?:&|$)/.test(body);
    const now = isLaunch ? due[0] : undefined;
    const forward = () => forwarded(endpoint.url, asked.headers, body);
    if (now === 'before it arrives') return killNow();
    if (now === 'while it is on its way') {
      killNow();
      await pause(random.between(0, 1000));
    }
    const answer = await forward().catch(() => null);
    if (now === 'while it is on its way') return;
    if (now === 'before its answer') return killNow();
    if (!answer) return void response.destroy();
    // Whoever is not killed has called again, for all that it could see: now it may see what it has launched, and its power.
    if (isLaunch && now === undefined) aheadMs += 2 * HIDDEN_MS;
    response.writeHead(answer.status, { 'content-type': 'text/xml' }).end(answer.body);
    if (now !== 'after its answer') return;
    await pause(random.between(0, 20));
    killNow();
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    for (let life = 1; ; life++) {
      const orders: LaunchOrders = {
        owner: `life-${life}`,
        store: join(folder, 'store.db'),
        endpoint: url,
        ip: '10.0.0.7',
        isAcknowledged: existsSync(log),
        log,
      };
      child = fork(program, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
      if (await livesToTheEnd(child, orders)) return { cloud, kills };
    }
  } finally {
    proxy.close();
    proxy.closeAllConnections();
    await endpoint.close();
  }
}

/** @returns whether it came to its end; false where it was killed */
async function livesToTheEnd(child: ChildProcess, orders: LaunchOrders): Promise<boolean> {
  if (child.pid !== undefined) recordPid(child.pid);
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  child.send(orders);
  const [exit, signal] = await once(child, 'exit');
  if (child.pid !== undefined) forgetPid(child.pid);
  if (signal === 'SIGKILL') return false;
  if (exit !== 0) throw new Error(`the process ${orders.owner} ended with ${exit ?? signal}: ${said}`);
  return true;
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function forwarded(
  url: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers: { ...headers, host: new URL(url).host }, agent: false }, (answer) => {
      textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 500, body: text }), reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
