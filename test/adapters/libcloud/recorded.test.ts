import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isFleetError } from 'fleetbeat';
import { at, listAt, textAt } from 'fleetbeat/adapters/libcloud';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asToken, instanceKey } from '../../../src/domain/identity.ts';
import type { InstanceVerb } from '../../../src/domain/instance.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import type { FakeCloud } from '../../support/clouds/fake-cloud.ts';
import { fakeDigitalocean } from '../../support/clouds/fake-digitalocean.ts';
import { fakeOpenstack } from '../../support/clouds/fake-openstack.ts';
import { fakeVcloud } from '../../support/clouds/fake-vcloud.ts';

/** Answers of our own, and those of Apache Libcloud where a variable says where they are. */
const SETS: [title: string, folder: string][] = [
  ['written by hand', fileURLToPath(new URL('../../support/clouds/recorded', import.meta.url))],
];
const { FLEETBEAT_LIBCLOUD_FIXTURES: recorded } = process.env;
if (recorded) SETS.push(['recorded by libcloud', recorded]);

const isLogin = (path: string) => /tokens|sessions/.test(path);

for (const [title, folder] of SETS) {
  const filesOf = (name: string) => readdirSync(`${folder}/${name}`).filter((file) => /\.(?:json|xml)$/.test(file));
  const textOf = (name: string, file: string) => readFileSync(`${folder}/${name}/${file}`, 'utf8');

  /** A cloud whose answers come from one folder, whatever its machines are. */
  const staged = (name: string, open: () => Promise<FakeCloud>) => {
    const stage = {
      files: filesOf(name),
      /** Those of the files that this set has. */
      kept: (...files: readonly string[]) => files.filter((file) => filesOf(name).includes(file)),
      text: (file: string) => textOf(name, file),
      json: (file: string): unknown => JSON.parse(textOf(name, file)),
      cloud: undefined as unknown as FakeCloud,
      /** Answers every list with these files, one a page. */
      lists(...files: readonly string[]) {
        let page = 0;
        stage.cloud.api.intercept(({ method }) => (method === 'GET' ? { body: stage.text(files[page++] ?? '') } : null));
        return stage.cloud.driver({ address: 'private' }).observe(want, never);
      },
      /** Answers one verb with a file. */
      async answers(file: string, verb: InstanceVerb, status = 200) {
        const machine = stage.cloud.add({ ip: '10.0.0.1', state: stage.cloud.words.stopped });
        stage.cloud.api.intercept(({ method, path }) =>
          method === 'GET' || isLogin(path) ? null : { status, body: stage.text(file) },
        );
        const subject = verb === 'launch' ? '10.0.0.5' : instanceKey(stage.cloud.name, machine.id);
        const call = callTo(subject, verb, { token: asToken(`${file} ${verb}`) });
        const [answer] = await stage.cloud.driver({ retries: 0 }).perform([call], never);
        stage.cloud.machines.splice(0);
        return answer;
      },
    };
    beforeAll(async () => {
      stage.cloud = await open();
    });
    afterAll(() => stage.cloud.close());

    test.each(stage.files)('%s, as any answer at all, is a reading, a problem or a coded error', async (file) => {
      const { cloud } = stage;
      for (const status of [200, 404]) {
        for (const isMeant of [isLogin, (path: string) => !isLogin(path)]) {
          cloud.api.intercept(({ path }) => (isMeant(path) ? { status, body: stage.text(file) } : null));
          const driver = cloud.driver({ retries: 0, lookMs: 0 });
          const read = await driver.observe(want, never).catch((error: unknown) => error);
          expect(isFleetError(read) || at(read, 'readAt') === want.now).toBe(true);
          const verbs: readonly InstanceVerb[] = ['launch', 'start', 'stop', 'reboot', 'terminate'];
          const calls = verbs.map((verb) => callTo(verb === 'launch' ? '10.0.0.5' : instanceKey(cloud.name, 'vm-1'), verb));
          const answers = await driver.perform(calls, never);
          expect(answers.every((answer) => answer === null || /^ER\d{4}$/.test(answer.code))).toBe(true);
          if (status === 404 && isMeant !== isLogin) expect(answers).not.toContain(null);
        }
      }
    });
    return stage;
  };

  describe(`DigitalOcean’s answers, ${title}`, () => {
    const stage = staged('digitalocean_v2', fakeDigitalocean);
    const droplets = (file: string) => listAt(stage.json(file), 'droplets') ?? [];

    test('are the droplets that they list, page after page', async () => {
      const { items, complete, problems } = await stage.lists('list_nodes_page_1.json', 'list_nodes.json');
      const listed = new Map(
        [...droplets('list_nodes.json'), ...droplets('list_nodes_page_1.json')].map((one) => [String(at(one, 'id')), one]),
      );
      expect(items.map(({ id }) => id).sort()).toEqual([...listed.keys()].sort());
      for (const { id, ip, power } of items) {
        const one = listed.get(id ?? '');
        expect(power?.raw).toBe(at(one, 'status'));
        expect(power?.state).not.toBe('unknown');
        const found = (listAt(one, 'networks', 'v4') ?? []).map((network) => at(network, 'ip_address'));
        expect(found.length === 0 ? [null] : found).toContain(ip);
      }
      expect(complete).toBe(true);
      // A droplet of an early recording is on two pages.
      expect(problems.every(({ message }) => message.includes('twice'))).toBe(true);
      expect((await stage.lists('list_nodes_empty.json')).items).toEqual([]);
    });

    test('accept verbs, and refuse them', async () => {
      expect(await stage.answers('ex_power_on_node.json', 'start', 201)).toBeNull();
      expect(await stage.answers('ex_shutdown_node.json', 'stop', 201)).toBeNull();
      expect(await stage.answers('reboot_node.json', 'reboot', 201)).toBeNull();
      expect(await stage.answers('ex_hard_reboot.json', 'reboot', 201)).toBeNull();
      expect(await stage.answers('error_invalid_image.json', 'launch', 422)).toMatchObject({
        code: 'ER0221',
        message: expect.stringContaining('invalid image'),
      });
      expect(await stage.answers('error.json', 'start', 401)).toMatchObject({
        code: 'ER0224',
        message: expect.stringContaining('Unable to authenticate you.'),
      });
    });

    test.each(stage.kept('create_node.json', 'list_node.json', 'create_image.json'))(
      '%s does not say which droplet was launched',
      async (file) => {
        const isOne = at(stage.json(file), 'droplet', 'id') !== undefined;
        expect((await stage.answers(file, 'launch', 202))?.code).toBe(isOne ? undefined : 'ER0220');
      },
    );

    test.each(stage.kept('list_floating_ips.json'))('%s says which address is whose', async (file) => {
      const listed = listAt(stage.json(file), 'floating_ips') ?? [];
      const owned = listed.filter((one) => at(one, 'droplet', 'id') !== undefined);
      for (const one of owned) stage.cloud.add({ id: String(at(one, 'droplet', 'id')), ip: null });
      // They have been renamed since then.
      const body = stage.text(file).replace('"floating_ips"', '"reserved_ips"');
      stage.cloud.api.intercept(({ path }) => (path.endsWith('/reserved_ips') ? { body } : null));
      const { items } = await stage.cloud.driver().observe(want, never);
      expect(items.map(({ id, ip }) => [id, ip])).toEqual(owned.map((one) => [String(at(one, 'droplet', 'id')), at(one, 'ip')]));
      expect(items).not.toEqual([]);
      stage.cloud.machines.splice(0);
    });

    test('give an address to what was launched', async () => {
      stage.cloud.api.intercept(({ path }) =>
        path.includes('reserved_ips/') ? { status: 201, body: stage.text('attach_floating_ip.json') } : null,
      );
      expect(await stage.cloud.driver().perform([callTo('10.0.0.5', 'launch')], never)).toEqual([null]);
      stage.cloud.machines.splice(0);
    });
  });

  describe(`Nova’s answers, ${title}`, () => {
    const stage = staged('openstack_v1.1', fakeOpenstack);

    test('are the servers that they list', async () => {
      const { items, complete, problems } = await stage.lists('_servers_detail.json');
      const servers = listAt(stage.json('_servers_detail.json'), 'servers') ?? [];
      expect(items.map(({ id }) => id)).toEqual(servers.map((one) => String(at(one, 'id'))));
      expect(items.map(({ power }) => power?.raw.split('/')[0])).toEqual(servers.map((one) => at(one, 'status')));
      for (const [i, { ip }] of items.entries()) {
        const all = Object.values((at(servers[i], 'addresses') ?? {}) as Record<string, unknown>).flatMap(
          (network) => listAt(network) ?? [],
        );
        expect(all.length === 0 ? [null] : all.map((one) => at(one, 'addr'))).toContain(ip);
        expect(
          textAt(
            all.find((one) => at(one, 'addr') === ip),
            'OS-EXT-IPS:type',
          ),
        ).not.toBe('floating');
      }
      expect(complete).toBe(true);
      const faulty = servers.filter((one) => textAt(one, 'fault', 'message') !== undefined);
      expect(problems.map(({ subject }) => subject)).toEqual(faulty.map((one) => String(at(one, 'id'))));
      expect((await stage.lists('_servers_detail_EMPTY.json')).items).toEqual([]);
    });

    test('tell of a server in ERROR with its fault', async () => {
      const { items, problems } = await stage.lists('_servers_detail_ERROR_STATE.json');
      expect(items.map(({ power }) => power)).toEqual([{ state: 'unknown', raw: 'ERROR' }]);
      const [server] = listAt(stage.json('_servers_detail_ERROR_STATE.json'), 'servers') ?? [];
      expect(problems).toMatchObject([{ subject: at(server, 'id'), message: textAt(server, 'fault', 'message') }]);
    });

    test.each(stage.kept('_servers_create.json', '_servers_create_disk_config.json', '_servers.json'))(
      '%s accepts a launch',
      async (file) => expect(await stage.answers(file, 'launch', 202)).toBeNull(),
    );

    test.each(stage.kept('_servers_detail_EMPTY.json', '_servers_12063_metadata_two_keys.json', '_os_networks.json'))(
      '%s accepts none',
      async (file) => expect(await stage.answers(file, 'launch', 202)).toMatchObject({ code: 'ER0220' }),
    );

    test.each(stage.kept('_images_detail.json', '_servers.json', '_servers_12064.json', '_floating_ips.json'))(
      '%s is no list of servers',
      async (file) => expect(stage.lists(file)).rejects.toMatchObject({ code: 'ER0235' }),
    );
  });

  const logins = readdirSync(`${folder}/openstack_identity`, { recursive: true, encoding: 'utf8' });

  describe(`Keystone’s answers, ${title}`, () => {
    let cloud: FakeCloud;
    beforeAll(async () => {
      cloud = await fakeOpenstack();
    });
    afterAll(() => cloud.close());

    test.each(logins.filter((file) => file.endsWith('.json')))('%s opens no session, with a token or without', async (file) => {
      for (const headers of [{}, { 'x-subject-token': 'a-token' }]) {
        cloud.api.intercept(({ path }) => (isLogin(path) ? { headers, body: textOf('openstack_identity', file) } : null));
        const answers = await cloud.driver({ retries: 0 }).perform([callTo('10.0.0.1', 'start')], never);
        expect(answers).toMatchObject([{ code: expect.stringMatching(/^ER(?:0018|0230|0235)$/) }]);
      }
    });
  });

  describe(`vCloud’s answers, ${title}`, () => {
    const stage = staged('vcloud_1_5', fakeVcloud);
    const vApps = filesOf('vcloud_1_5').filter((file) => /<Vm [\s\S]*<NetworkConnectionSection/.test(textOf('vcloud_1_5', file)));

    test('open a session, and are the machines that they list', async () => {
      stage.cloud.api.intercept(({ path }) => {
        if (isLogin(path)) return { headers: { 'x-vcloud-authorization': 't' }, body: stage.text('api_sessions.xml') };
        if (path === '/api/query') return { body: stage.text('api_query_vm.xml') };
        return { status: 403, body: stage.text('api_vApp_vapp_access_to_resource_forbidden.xml') };
      });
      const { items, complete, problems } = await stage.cloud.driver().observe(want, never);
      const id = /href="[^"]*\/vApp\/(vm-[^"]*)"/.exec(stage.text('api_query_vm.xml'))?.[1];
      expect(items).toMatchObject([{ id, ip: null, power: { state: 'stopped', raw: 'POWERED_OFF' } }]);
      expect(complete).toBe(true);
      expect(problems).toMatchObject([{ subject: id, message: expect.stringContaining('No access to entity "(com.vmware') }]);
      stage.cloud.api.intercept(null);
    });

    test.each(vApps.filter((file) => file.includes('_vapp_') || file.includes('undeploy')))(
      '%s has the address of its machine',
      async (file) => {
        const text = stage.text(file);
        const [, id = ''] = /<Vm [^>]*href="[^"]*\/(vm-[^"]*)"/.exec(text) ?? [];
        const record = `<VMRecord href="https://x/api/vApp/${id}" container="https://x/api/vApp/vapp-1" status="POWERED_ON"/>`;
        stage.cloud.api.intercept(({ path }) => {
          if (isLogin(path)) return null;
          return {
            body: path === '/api/query' ? `<QueryResultRecords total="1" pageSize="25">${record}</QueryResultRecords>` : text,
          };
        });
        const { items, problems } = await stage.cloud.driver().observe(want, never);
        const [, section = ''] = /<NetworkConnectionSection([\s\S]*?)<\/NetworkConnectionSection>/.exec(text) ?? [];
        expect(section).toContain(`<IpAddress>${items[0]?.ip}</IpAddress>`);
        expect(problems).toEqual([]);
        stage.cloud.api.intercept(null);
      },
    );

    const POWER = 'api_vApp_vapp_8c57a5b6_e61b_48ca_8a78_3b70ee65ef6a_power_action';
    test.each([
      ...stage.kept(`${POWER}_powerOn.xml`, `${POWER}_all.xml`).map((file) => [file, 'start'] as const),
      ...stage
        .kept(`${POWER}_reset.xml`, 'api_task_b034df55_fe81_4798_bc81_1f0fd0ead450.xml')
        .map((file) => [file, 'reboot'] as const),
      ...stage.kept('api_task_undeploy_power_off.xml').map((file) => [file, 'stop'] as const),
      ...stage
        .kept(
          'api_vdc_3d9ae28c_1de9_4307_8107_9356ff8ba6d0_action_instantiateVAppTemplate.xml',
          'api_vdc_3d9ae28c_1de9_4307_8107_9356ff8ba6d0_action_cloneVApp.xml',
          'api_vApp_undeployTest.xml',
        )
        .map((file) => [file, 'launch'] as const),
    ])('%s accepts a %s', async (file, verb) => expect(await stage.answers(file, verb, 202)).toBeNull());

    test.each(stage.kept('api_vdc_brokenVdc.xml', 'api_org.xml', 'api_query_vm.xml', 'api_vApp_vm_test.xml'))(
      '%s says nothing of a call',
      async (file) => {
        expect(await stage.answers(file, 'start', 202)).toMatchObject({ code: 'ER0220' });
        expect(await stage.answers(file, 'launch', 201)).toMatchObject({ code: 'ER0220' });
      },
    );

    test('queue tasks, and refuse what cannot be', async () => {
      expect(await stage.answers('api_task_deploy.xml', 'start', 202)).toBeNull();
      expect(await stage.answers('api_task_undeploy.xml', 'stop', 202)).toBeNull();
      expect(await stage.answers('api_task_undeploy_error.xml', 'stop', 202)).toMatchObject({
        code: 'ER0221',
        message: expect.stringContaining('Failed to shutdown guest os'),
      });
      expect(await stage.answers('api_vApp_vapp_access_to_resource_forbidden.xml', 'start', 403)).toMatchObject({
        code: 'ER0205',
      });
    });
  });
}
