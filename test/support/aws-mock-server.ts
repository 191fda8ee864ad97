import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { freePort, launch } from './server-process.ts';

/** Where it is built, once for all runs. */
const folder =
  process.env.FLEETBEAT_AWS_MOCK ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'fleetbeat', 'aws-mock');

const recipe = fileURLToPath(new URL('aws-mock/build.sh', import.meta.url));

/** An EC2 server that somebody else has written, in Java. */
export interface AwsMock {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/**
 * `describe` for tests against aws-mock: in CI, and where FLEETBEAT_AWS_MOCK names the folder that it is, or is to be, built in.
 * Elsewhere they are skipped, and say so.
 */
export function requiresAwsMock(title: string, body: () => void): void {
  const isWanted = process.env.CI !== undefined || process.env.FLEETBEAT_AWS_MOCK !== undefined;
  if (isWanted) describe(title, body);
  else describe.skip(`${title} (CI=true npm run test:setup, then FLEETBEAT_AWS_MOCK=<a folder to build it in>)`, body);
}

/** Builds it where it is not built yet, which takes seconds, and starts it. */
export async function startAwsMock(): Promise<AwsMock> {
  await promisify(execFile)(recipe, [folder], { timeout: 120_000 });
  const host = '127.0.0.1';
  const port = await freePort(host);
  const server = await launch({
    command: 'java',
    args: ['-Xmx128m', '-cp', readFileSync(join(folder, 'classpath'), 'utf8'), 'Run', host, String(port)],
    host,
    port,
    greeting: { send: 'GET / HTTP/1.0\r\n\r\n', expect: 'HTTP/1.1 ' },
  });
  return { endpoint: `http://${host}:${port}/aws-mock/ec2-endpoint/`, stop: () => server.stop() };
}
