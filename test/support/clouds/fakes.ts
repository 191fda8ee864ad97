import type { FakeCloud } from './fake-cloud.ts';
import { fakeDigitalocean } from './fake-digitalocean.ts';
import { fakeHetzner } from './fake-hetzner.ts';
import { fakeOpenstack } from './fake-openstack.ts';
import { fakeVcloud } from './fake-vcloud.ts';

/** All clouds that speak REST, by name. */
export const FAKES: readonly (readonly [name: string, open: () => Promise<FakeCloud>])[] = [
  ['openstack', fakeOpenstack],
  ['digitalocean', fakeDigitalocean],
  ['hetzner', fakeHetzner],
  ['vcloud', fakeVcloud],
];
