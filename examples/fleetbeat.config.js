// Simulated, so that every command can be tried without servers: fleetbeat services start nosql2 --config examples/fleetbeat.config.js
// For your own, put a `local` cloud in its place, its instances reached with the section `ssh`. What waits is then kept in
// fleetbeat.db beside this file; several hosts share a memcached instead:
//
//   store: { driver: 'memcached', servers: '10.0.0.5:11211' },
//   doctors: [{ name: 'pager', script: ['./page', '--team', 'db'] }],
//   audit: { file: '/var/log/fleetbeat/audit.jsonl', keep: 30 },
//   ssh: { username: 'admin', identityFile: 'id_ed25519', knownHosts: 'known_hosts' },
//   bootstrap: {
//     binaries: { artefact: { file: 'shop-1.4.2.tar.gz', version: '1.4.2', to: '~/shop' } },
//     agent: { unit: { to: '~/fleetbeat' } },
//   },
//
// `fleetbeat config rules` lists everything that may stand here. JSON and YAML say the same.

/** Ten seconds of a cloud are one of yours. */
const speed = 10;

export default {
  clouds: {
    sandbox: {
      driver: 'simulated',
      active: true,
      speed,
      instances: [
        { id: 'i-987388e6', ip: '10.0.0.102', state: 'running' },
        { id: 'i-7fba6203', ip: '10.0.0.209', state: 'stopped' },
      ],
    },
  },
  clusters: ['shop'],
  services: [
    { name: 'node10', ip: '10.0.0.102', mode: 'mariadb', status: 'master', cluster: 'shop' },
    { name: 'node13', ip: '10.0.0.209', mode: 'mariadb', status: 'slave', cluster: 'shop' },
    { name: 'nosql1', ip: '10.0.0.102', mode: 'memcache', status: 'master' },
    { name: 'nosql2', ip: '10.0.0.209', mode: 'memcache', status: 'slave' },
  ],
  beatEvery: '200ms',
};
