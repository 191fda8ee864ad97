/** Everything that runs beside the tests: real servers, and peers that misbehave. All on loopback, all gone with the run. */
export { type Fault, type FaultyProxy, faultyProxy } from './faulty-proxy.ts';
export { loopback } from './loopback.ts';
export { type MemcachedServer, startMemcached } from './memcached-server.ts';
export { requires, requiresMachines } from './requires.ts';
export { freePort } from './server-process.ts';
export { type SilentServer, silentServer } from './silent-server.ts';
export { makeSshKey, type SshKey } from './ssh-keys.ts';
export { type SshdOptions, type SshdServer, startSshd } from './sshd-server.ts';
