import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import {
  answerOf,
  driverFor,
  filterOf,
  type QueryRequest,
  refuse,
  type ScriptedEc2,
  scriptedEc2,
  valuesOf,
  virtualClock,
} from '../support/aws-mock-scripted.ts';

const servers: ScriptedEc2[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Interface {
  readonly id: string;
  readonly instanceId?: string;
  readonly deviceIndex?: number;
  /** The first is its own. */
  readonly ips: string[];
}

/** An EC2 with two instances of two interfaces each, a loose interface, and two elastic ips: it keeps what is set. */
async function network() {
  const interfaces: Interface[] = [
    { id: 'eni-1a', instanceId: 'i-1', deviceIndex: 0, ips: ['10.0.0.1'] },
    { id: 'eni-1b', instanceId: 'i-1', deviceIndex: 1, ips: ['10.0.1.1', '10.0.1.100'] },
    { id: 'eni-2a', instanceId: 'i-2', deviceIndex: 0, ips: ['10.0.0.2'] },
    { id: 'eni-2b', instanceId: 'i-2', deviceIndex: 1, ips: ['10.0.1.2'] },
    { id: 'eni-loose', ips: ['10.0.1.3'] },
  ];
  const leads = new Map<string, string | null>([
    ['198.51.100.1', 'eni-1a'],
    ['198.51.100.2', null],
  ]);

  const interfaceXml = ({ id, instanceId, deviceIndex, ips }: Interface) =>
    `<item><networkInterfaceId>${id}</networkInterfaceId>${
      instanceId === undefined
        ? ''
        : `<attachment><instanceId>${instanceId}</instanceId><deviceIndex>${deviceIndex}</deviceIndex></attachment>`
    }<privateIpAddressesSet>${ips
      .map((ip, i) => `<item><privateIpAddress>${ip}</privateIpAddress><primary>${i === 0}</primary></item>`)
      .join('')}</privateIpAddressesSet></item>`;
  const elasticXml = (ip: string) => {
    const holder = interfaces.find(({ id }) => id === leads.get(ip));
    const held = holder
      ? `<associationId>assoc-${ip}</associationId><networkInterfaceId>${holder.id}</networkInterfaceId><instanceId>${holder.instanceId}</instanceId><privateIpAddress>${holder.ips[0]}</privateIpAddress>`
      : '';
    return `<item><publicIp>${ip}</publicIp><allocationId>alloc-${ip}</allocationId>${held}</item>`;
  };

  const script = ({ action, form }: QueryRequest, response: ServerResponse): string => {
    const interfaceId = form.get('NetworkInterfaceId') ?? '';
    const wanted = interfaces.find(({ id }) => id === interfaceId);
    switch (action) {
      case 'DescribeAddresses': {
        const ips = filterOf(form, 'public-ip') ?? [...leads.keys()];
        return answerOf(
          action,
          `<addressesSet>${ips
            .filter((ip) => leads.has(ip))
            .map(elasticXml)
            .join('')}</addressesSet>`,
        );
      }
      case 'DescribeNetworkInterfaces': {
        const [ips, instances, ids] = ['addresses.private-ip-address', 'attachment.instance-id', 'network-interface-id'].map(
          (name) => filterOf(form, name),
        );
        const found = interfaces.filter(
          (one) =>
            (ips === undefined || one.ips.some((ip) => ips.includes(ip))) &&
            (instances === undefined || instances.includes(one.instanceId ?? '')) &&
            (ids === undefined || ids.includes(one.id)),
        );
        return answerOf(action, `<networkInterfaceSet>${found.map(interfaceXml).join('')}</networkInterfaceSet>`);
      }
      case 'AssociateAddress': {
        const ip = (form.get('AllocationId') ?? '').replace('alloc-', '');
        if (leads.get(ip) && form.get('AllowReassociation') !== 'true') return refuse(response, 'Resource.AlreadyAssociated', ip);
        leads.set(ip, interfaceId);
        return answerOf(action, `<associationId>assoc-${ip}</associationId>`);
      }
      case 'DisassociateAddress': {
        leads.set((form.get('AssociationId') ?? '').replace('assoc-', ''), null);
        return answerOf(action, '<return>true</return>');
      }
      case 'AssignPrivateIpAddresses': {
        const [ip = ''] = valuesOf(form, 'PrivateIpAddress');
        const holder = interfaces.find(({ ips }) => ips.includes(ip));
        if (holder && form.get('AllowReassignment') !== 'true') return refuse(response, 'InvalidParameterValue', ip);
        holder?.ips.splice(holder.ips.indexOf(ip), 1);
        wanted?.ips.push(ip);
        return answerOf(action, '<return>true</return>');
      }
      case 'UnassignPrivateIpAddresses': {
        for (const ip of valuesOf(form, 'PrivateIpAddress')) wanted?.ips.splice(wanted.ips.indexOf(ip), 1);
        return answerOf(action, '<return>true</return>');
      }
      default:
        return refuse(response, 'InvalidAction', action);
    }
  };

  const server = await scriptedEc2(script);
  servers.push(server);
  const driver = driverFor(server, { clock: virtualClock() });
  const changes = () => server.requests.map(({ action }) => action).filter((action) => !action.startsWith('Describe'));
  return { addresses: driver.addresses, driver, changes, interfaces, server };
}

describe('the elastic ips of EC2', () => {
  test('are shown with who has each', async () => {
    const { addresses } = await network();
    expect(await addresses.statusEip()).toEqual([
      {
        kind: 'elastic',
        ip: '198.51.100.1',
        allocationId: 'alloc-198.51.100.1',
        associationId: 'assoc-198.51.100.1',
        instanceId: 'i-1',
        interfaceId: 'eni-1a',
        privateIp: '10.0.0.1',
      },
      {
        kind: 'elastic',
        ip: '198.51.100.2',
        allocationId: 'alloc-198.51.100.2',
        associationId: null,
        instanceId: null,
        interfaceId: null,
        privateIp: null,
      },
    ]);
    expect((await addresses.statusEip(['198.51.100.2'])).map(({ ip }) => ip)).toEqual(['198.51.100.2']);
  });

  test.each([
    ['an instance', { id: 'i-2' }, 'eni-2a'],
    ['one of its interfaces', { id: 'i-2', deviceIndex: 1 }, 'eni-2b'],
    ['the interface of an ip', { ip: '10.0.1.2' }, 'eni-2b'],
    ['another interface of the instance of an ip', { ip: '10.0.1.2', deviceIndex: 0 }, 'eni-2a'],
    ['an interface', { interfaceId: 'eni-loose' }, 'eni-loose'],
  ])('are led to %s, whoever has them now, and no second time', async (_, to, interfaceId) => {
    const { addresses, changes } = await network();
    const now = await addresses.associate('198.51.100.1', to);
    expect(now).toMatchObject({ ip: '198.51.100.1', interfaceId });
    expect(await addresses.associate('198.51.100.1', to)).toEqual(now);
    expect(changes()).toEqual(['AssociateAddress']);
  });

  test('are taken from whoever has them, and no second time', async () => {
    const { addresses, changes } = await network();
    expect(await addresses.disassociate('198.51.100.1')).toMatchObject({
      kind: 'elastic',
      associationId: null,
      instanceId: null,
    });
    expect(await addresses.disassociate('198.51.100.1')).toMatchObject({
      kind: 'elastic',
      associationId: null,
      instanceId: null,
    });
    expect(changes()).toEqual(['DisassociateAddress']);
  });
});

describe('the virtual ips of EC2', () => {
  test('are shown with who has each, those of nobody too', async () => {
    const { addresses, server } = await network();
    expect(await addresses.statusVip(['10.0.1.100', '10.0.1.200', '10.0.1.3'])).toEqual([
      { kind: 'vip', ip: '10.0.1.100', interfaceId: 'eni-1b', instanceId: 'i-1' },
      { kind: 'vip', ip: '10.0.1.200', interfaceId: null, instanceId: null },
      { kind: 'vip', ip: '10.0.1.3', interfaceId: 'eni-loose', instanceId: null },
    ]);
    expect(server.requests.length).toBe(1);
    expect(await addresses.statusVip([])).toEqual([]);
    expect(server.requests.length).toBe(1);
  });

  test('move to the interface that is wanted, and no second time', async () => {
    const { addresses, changes, interfaces } = await network();
    const to = { id: 'i-2', deviceIndex: 1 };
    const now = { kind: 'vip', ip: '10.0.1.100', interfaceId: 'eni-2b', instanceId: 'i-2' };
    expect(await addresses.associateVip('10.0.1.100', to)).toEqual(now);
    expect(await addresses.associateVip('10.0.1.100', to)).toEqual(now);
    expect(changes()).toEqual(['AssignPrivateIpAddresses']);
    expect(interfaces.find(({ id }) => id === 'eni-1b')?.ips).toEqual(['10.0.1.1']);
  });

  test('are taken away, and no second time', async () => {
    const { addresses, changes } = await network();
    const nobody = { kind: 'vip', ip: '10.0.1.100', interfaceId: null, instanceId: null };
    expect(await addresses.disassociate('10.0.1.100')).toEqual(nobody);
    expect(await addresses.disassociate('10.0.1.100')).toEqual(nobody);
    expect(changes()).toEqual(['UnassignPrivateIpAddresses']);
  });

  test('are never the own address of an interface', async () => {
    const { addresses, changes } = await network();
    await expect(addresses.disassociate('10.0.0.1')).rejects.toMatchObject({ code: 'ER0208' });
    await expect(addresses.associateVip('10.0.0.1', { id: 'i-2' })).rejects.toMatchObject({ code: 'ER0208' });
    expect(changes()).toEqual([]);
  });
});

describe('what is asked of an address and cannot be', () => {
  test('is refused before anything changes', async () => {
    const { addresses, changes } = await network();
    const refused: readonly [string, () => Promise<unknown>][] = [
      ['ER0222', () => addresses.statusVip(['nowhere'])],
      ['ER0222', () => addresses.disassociate('10.0.0')],
      ['ER0205', () => addresses.associate('203.0.113.9', { id: 'i-1' })],
      ['ER0205', () => addresses.associate('198.51.100.1', { id: 'i-9' })],
      ['ER0205', () => addresses.associate('198.51.100.1', { id: 'i-1', deviceIndex: 7 })],
      ['ER0205', () => addresses.associate('198.51.100.1', { ip: '10.9.9.9' })],
      ['ER0205', () => addresses.associateVip('10.0.1.100', { interfaceId: 'eni-9' })],
    ];
    for (const [code, ask] of refused) await expect(ask()).rejects.toMatchObject({ name: 'FleetError', code });
    expect(changes()).toEqual([]);
  });

  test('is an error with its cause where EC2 refuses it, or is not there', async () => {
    const { server, driver } = await network();
    const other = await scriptedEc2((request, response) => {
      if (request.action === 'DescribeAddresses')
        return answerOf(
          request.action,
          '<addressesSet><item><publicIp>198.51.100.1</publicIp><allocationId>a</allocationId></item></addressesSet>',
        );
      if (request.action === 'DescribeNetworkInterfaces')
        return answerOf(
          request.action,
          '<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId></item></networkInterfaceSet>',
        );
      return request.form.get('NetworkInterfaceId') === 'eni-1' ? refuse(response, 'AuthFailure', 'not yours', 403) : undefined;
    });
    servers.push(other);
    const { addresses } = driverFor(other, { clock: virtualClock() });
    await expect(addresses.associate('198.51.100.1', { interfaceId: 'eni-1' })).rejects.toMatchObject({
      code: 'ER0224',
      cause: { name: 'AuthFailure' },
    });
    await server.close();
    servers.splice(servers.indexOf(server), 1);
    await expect(driver.addresses.statusEip()).rejects.toMatchObject({ code: 'ER0235' });
  });

  test('is a request that is reported as any other', async () => {
    const { addresses, driver } = await network();
    await addresses.associateVip('10.0.1.100', { id: 'i-2' });
    expect(driver.calls.map(({ verb, caller }) => [verb, caller])).toEqual([
      ['DescribeNetworkInterfaces', 'person'],
      ['DescribeNetworkInterfaces', 'person'],
      ['AssignPrivateIpAddresses', 'person'],
      ['DescribeNetworkInterfaces', 'person'],
    ]);
  });
});
