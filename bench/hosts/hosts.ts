import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ssh2 from 'ssh2';
import { startSshds } from './sshd.ts';

/** Hosts on loopback, all with one key and at one port. */
export interface Hosts {
  /** Those that speak the protocol only. */
  readonly spoken: readonly string[];
  /** Those with an sshd; none where it is not installed. */
  readonly real: readonly string[];
  /** Accepts connections and says nothing. */
  readonly hung: string;
  readonly port: number;
  readonly username: string;
  readonly privateKey: string;
  /** The file of the private key. */
  readonly identity: string;
  readonly knownHosts: string;
  stop(): void;
}

const PROTOCOL = fileURLToPath(new URL('./protocol.ts', import.meta.url));

/** The protocol's hosts are in two processes, so that neither of them is what everybody waits for. */
const PROCESSES = 2;

export async function startHosts(counts: { readonly spoken: number; readonly real: number }): Promise<Hosts> {
  const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-bench-'));
  const [hostKey, key] = [readableKey(), readableKey()];
  const identity = join(folder, 'id_ed25519');
  writeFileSync(identity, key.private, { mode: 0o600 });
  writeFileSync(join(folder, 'host_key'), hostKey.private, { mode: 0o600 });

  const block = 1 + Math.floor(Math.random() * 200);
  const address = (i: number) => `127.${block}.${Math.floor(i / 250)}.${1 + (i % 250)}`;
  const spoken = Array.from({ length: counts.spoken }, (_, i) => address(i));
  const real = Array.from({ length: counts.real }, (_, i) => address(counts.spoken + i));
  const hung = address(counts.spoken + counts.real);

  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, hung);
  await once(silent, 'listening');
  const bound = silent.address();
  if (bound === null || typeof bound === 'string') throw new Error('no free port');
  const { port } = bound;

  const children = await Promise.all(
    Array.from({ length: PROCESSES }, async (_, n) => {
      const own = spoken.filter((__, i) => i % PROCESSES === n);
      const argv = ['--import', 'tsx', PROTOCOL, String(port), hostKey.private, ...own];
      const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
      const died = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the hosts ended with ${code}`)));
      await Promise.race([once(child.stdout, 'data'), died]);
      died.catch(() => {});
      return child;
    }),
  );
  const sshds = await startSshds(real, { folder, port, publicKey: key.public });
  const keyOf = (line: string) => line.split(' ').slice(0, 2).join(' ');
  const all = [...spoken, ...real, hung];
  return {
    spoken,
    real: sshds?.addresses ?? [],
    hung,
    port,
    username: userInfo().username,
    privateKey: key.private,
    identity,
    knownHosts: all.map((ip) => `[${ip}]:${port} ${keyOf(hostKey.public)}`).join('\n'),
    stop() {
      for (const child of children) child.kill('SIGKILL');
      sshds?.stop();
      silent.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A key pair. One in some two hundred that ssh2 makes, it cannot read again. */
function readableKey(): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}
