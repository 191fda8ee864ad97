import type { Route } from '../route.ts';
import { escaped } from './xml.ts';

const NAMESPACES = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

const typed = (name: string): { readonly 'content-type': string } => ({
  'content-type': `application/vnd.vmware.vcloud.${name}+xml`,
});

/** Powers a machine off, or shuts it down, and gives back what it runs on: a machine that is merely off is still deployed. */
export const undeploy = (how: 'powerOff' | 'shutdown'): Route => ({
  method: 'POST',
  path: '/vApp/{id}/action/undeploy',
  headers: typed('undeployVAppParams'),
  body: `<UndeployVAppParams ${NAMESPACES}><UndeployPowerAction>${how}</UndeployPowerAction></UndeployVAppParams>`,
});

/** Takes one machine out of a vApp that has others. */
export const removeFrom = (vApp: string, href: string): Route => ({
  method: 'POST',
  path: '/vApp/{vApp}/action/recomposeVApp',
  params: { vApp },
  headers: typed('recomposeVAppParams'),
  body: `<RecomposeVAppParams ${NAMESPACES}><DeleteItem href="${escaped(href)}"/></RecomposeVAppParams>`,
});

/** Composes a vApp of one machine with a chosen address, and powers it on. */
export function compose(vApp: {
  readonly vdc: string;
  readonly name: string;
  readonly description: string;
  readonly sourceHref: string;
  readonly networkHref: string;
  readonly network: string;
  readonly ip: string;
}): Route {
  const network = escaped(vApp.network);
  return {
    method: 'POST',
    path: '/vdc/{vdc}/action/composeVApp',
    params: { vdc: vApp.vdc },
    headers: typed('composeVAppParams'),
    body: `<?xml version="1.0" encoding="UTF-8"?>
<ComposeVAppParams name="${escaped(vApp.name)}" deploy="true" powerOn="true" ${NAMESPACES}>
  <Description>${escaped(vApp.description)}</Description>
  <InstantiationParams><NetworkConfigSection>
    <ovf:Info/>
    <NetworkConfig networkName="${network}"><Configuration>
      <ParentNetwork href="${escaped(vApp.networkHref)}"/><FenceMode>bridged</FenceMode>
    </Configuration></NetworkConfig>
  </NetworkConfigSection></InstantiationParams>
  <SourcedItem>
    <Source href="${escaped(vApp.sourceHref)}"/>
    <InstantiationParams><NetworkConnectionSection>
      <ovf:Info/>
      <PrimaryNetworkConnectionIndex>0</PrimaryNetworkConnectionIndex>
      <NetworkConnection network="${network}">
        <NetworkConnectionIndex>0</NetworkConnectionIndex>
        <IpAddress>${vApp.ip}</IpAddress>
        <IsConnected>true</IsConnected>
        <IpAddressAllocationMode>MANUAL</IpAddressAllocationMode>
      </NetworkConnection>
    </NetworkConnectionSection></InstantiationParams>
  </SourcedItem>
  <AllEULAsAccepted>true</AllEULAsAccepted>
</ComposeVAppParams>`,
  };
}
