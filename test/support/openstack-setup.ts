import type { TestProject } from 'vitest/node';
import type { OpenstackCloud } from './openstack/cloud.ts';
import { startOpenstack } from './openstack-server.ts';
import { missingForOpenstack } from './requires.ts';

declare module 'vitest' {
  interface ProvidedContext {
    openstack: OpenstackCloud;
  }
}

/** One OpenStack for all test files of a run. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (missingForOpenstack().length > 0) return undefined;
  const { cloud, stop } = await startOpenstack();
  project.provide('openstack', cloud);
  return stop;
}
