import type { SimulatedInstance } from './simulated-instances.ts';
import type { SimulatedService } from './simulated-server.ts';

/**
 * The sample fleet of the seed's heartbeat: five instances, twelve services, two of the instances stopped and some of the
 * services in trouble. Its names, addresses and states are the seed's.
 */
export const SEED_FLEET: {
  readonly instances: readonly SimulatedInstance[];
  readonly services: readonly SimulatedService[];
} = {
  instances: [
    { id: 'i-830dcde4', ip: null, state: 'stopped' },
    { id: 'i-7fba6203', ip: '10.0.0.209', state: 'stopped' },
    { id: 'i-987388e6', ip: '10.0.0.102', state: 'running' },
    { id: 'i-4436ed3a', ip: '10.0.0.48', state: 'running' },
    { id: 'i-4236ed3c', ip: '10.0.0.47', state: 'running' },
  ],
  services: [
    { name: 'node10', ip: '10.0.0.102', mode: 'mariadb', status: 'master' },
    { name: 'node11', ip: '10.0.0.47', mode: 'mariadb', status: 'slave', state: 'failing' },
    { name: 'node12', ip: '10.0.0.48', mode: 'mariadb', status: 'slave' },
    { name: 'nosql1', ip: '10.0.0.102', mode: 'memcache', status: 'master' },
    { name: 'nosql2', ip: '10.0.0.48', mode: 'memcache', status: 'slave' },
    { name: 'proxy1', ip: '10.0.0.102', mode: 'mysql-proxy', status: 'na' },
    { name: 'proxy2', ip: '10.0.0.47', mode: 'mysql-proxy', status: 'na', state: 'failing' },
    { name: 'proxy3', ip: '10.0.0.48', mode: 'mysql-proxy', status: 'na', state: 'failing' },
    { name: 'lb1', ip: '10.0.0.102', mode: 'keepalived', status: 'master', state: 'failing' },
    { name: 'lb2', ip: '10.0.0.47', mode: 'keepalived', status: 'slave', state: 'failing' },
    { name: 'lb3', ip: '10.0.0.102', mode: 'haproxy', status: 'master' },
    { name: 'lb4', ip: '10.0.0.47', mode: 'haproxy', status: 'master' },
  ],
};
