import { appendFile } from 'node:fs/promises';
import type { Shell } from '../../contracts.ts';
import { load } from '../load.ts';
import { fileText } from './file-text.ts';
import { configurationError, type Origin } from './mistake.ts';
import type { ConfiguredSsh } from './schema.ts';
import { secretOf } from './secret.ts';
import { pathIn } from './settled.ts';

/** The shell of a configuration, with the files that it names read. */
export async function shellOf(configured: ConfiguredSsh, origin: Origin, env: NodeJS.ProcessEnv): Promise<Shell> {
  const { identityFile, passphrase, knownHosts, trustOnFirstUse, port, fingerprints, fence: _, ...numbers } = configured;
  const pathOf = (path: string) => pathIn(origin, path);
  const record = trustOnFirstUse === undefined ? null : pathOf(trustOnFirstUse);
  const [{ ssh }, privateKey, ...known] = await Promise.all([
    load(() => import('../../../adapters/ssh.ts'), 'ssh'),
    fileText(pathOf(identityFile), ['ssh', 'identityFile'], origin),
    knownHosts === undefined ? '' : fileText(pathOf(knownHosts), ['ssh', 'knownHosts'], origin),
    record === null ? '' : fileText(record, ['ssh', 'trustOnFirstUse'], origin, 'may be missing'),
  ]);
  const isNobodyKnown = known.join('').trim() === '' && fingerprints === undefined && record === null;
  if (isNobodyKnown && knownHosts !== undefined) {
    const mistake = {
      path: ['ssh', 'knownHosts'],
      found: 'a file that is empty',
      allowed: 'one with lines as ssh-keyscan prints them',
    };
    throw configurationError(origin, mistake);
  }
  return ssh({
    ...numbers,
    privateKey,
    ...(passphrase && { passphrase: secretOf(passphrase, ['ssh', 'passphrase'], origin, env) }),
    knownHosts: known.join('\n'),
    ...(fingerprints && { fingerprints: new Map(Object.entries(fingerprints)) }),
    ...(record !== null && {
      trustOnFirstUse: { record: (_, line) => appendFile(record, `${line.trimEnd()}\n`, { mode: 0o600 }) },
    }),
    port: typeof port === 'number' ? port : new Map(Object.entries(port)),
  });
}
