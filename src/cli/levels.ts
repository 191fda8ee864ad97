import type { InstanceAction, ServiceAction } from '../domain/command.ts';

/** What each action of the instances level is for, as help says it. */
export const INSTANCE_ACTION_TEXTS = {
  status: 'read the clouds, then list the instances',
  heartbeat: 'the last global heartbeat: every instance and service',
  actions: 'the actions that wait, act or have failed, in their lanes',
  actions_init: 'cancel every waiting action and discard every failed one (needs --yes)',
  launch: 'create an instance at an ip',
  start: 'start a stopped instance',
  stop: 'stop an instance; what is about to start on it is cancelled',
  reboot: 'reboot an instance, once',
  terminate: 'destroy an instance',
  bootstrap_binaries: 'bring an instance up to rung 4: the wanted binaries are there',
  bootstrap_ncc: "bring an instance up to rung 5: the node's agent runs",
  world: 'this host announces itself: the services on its ips are started',
  plan: 'what an action would come to, without doing it',
  retry: 'let a failed action try again',
  discard: 'give a failed action up, which frees its lane',
} as const satisfies Record<InstanceAction, string>;

/** What each action of the services level is for, as help says it. */
export const SERVICE_ACTION_TEXTS = {
  status: 'read the fleet, then list the services',
  install: 'initialise the data directory',
  remove: 'take the service off its instance',
  start: 'climb the ladder, from wherever the instance is, until the service is up',
  stop: 'stop the service; what is about to start it is cancelled',
  restart: 'restart the service, once',
  sync: 'make a database replicate',
  join: 'bring a replica into its cluster: copied from its master, following it, routed to',
  switch: 'make a replica the master of its cluster, with nothing lost; of a cluster, the first that replicates',
  failover: 'let a replica take the place of a master that is lost for certain, and is turned off first',
  rolling_restart: 'restart the databases of a cluster one after the other: replicas, then a switch, then the old master',
  bootstrap_config: 'bring the configuration on the host in line; what runs takes it over, a database at its next restart',
  bootstrap_binaries: "bring the service's instance up to rung 4, in the service's lane",
  bootstrap_ncc: "bring the service's instance up to rung 5, in the service's lane",
  ping: 'deliver heartbeats of hosts, given as JSON on stdin',
  plan: 'what an action would come to, without doing it',
} as const satisfies Record<ServiceAction, string>;

export const CONFIG_ACTION_TEXTS = {
  display: 'the configuration in force, defaults filled in, secrets masked',
  rules: 'everything that a configuration may say, as JSON Schema',
  file: 'the configuration file that is generated for one service',
} as const;
