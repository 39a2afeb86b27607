/** Ports of the node that lead to one of its own pods (Kubernetes `hostPort`, CNI `portMappings`), as frontends. Pure. */
import { familyOf } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { FrontendRow, PortMapping } from '../state/service-rows.ts'
import type { EndpointRow } from '../state/tables.ts'
import type { Balancing } from './balancing.ts'
import { frontendKey, LOOPBACK, type ThisNode } from './frontends.ts'

export type PortHolder = Pick<EndpointRow, 'key' | 'pod' | 'addresses' | 'portMappings'>

/** In the order of mappings and addresses. A pod has its own view of loopback, so only the node's processes find it there. */
export function hostPortFrontends(pod: PortHolder, node: ThisNode, { tableSize }: Balancing): readonly FrontendRow[] {
  return (pod.portMappings ?? []).flatMap(mapping =>
    pod.addresses.flatMap(backend =>
      addressesOf(mapping, node)
        .filter(address => familyOf(address) === familyOf(backend))
        .flatMap(address =>
          scopesOf(address).map((scope): FrontendRow => {
            const { protocol, hostPort: port, containerPort } = mapping
            return {
              key: frontendKey({ protocol, address, port, scope }),
              address,
              port,
              protocol,
              scope,
              kind: 'host-port',
              exclusive: false,
              silent: false,
              service: nameOf(pod),
              portName: '',
              affinitySeconds: 0,
              sourceRanges: [],
              algorithm: 'random',
              tableSize,
              forwarding: 'snat',
              counted: false,
              backends: [
                {
                  address: backend,
                  port: containerPort,
                  node: node.name,
                  zone: node.zone,
                  weight: 1,
                  terminating: false,
                },
              ],
              direct: [],
            }
          }),
        ),
    ),
  )
}

function addressesOf({ hostIP = '' }: PortMapping, node: ThisNode): readonly Address[] {
  return hostIP === '' || UNSPECIFIED.includes(hostIP) ? [...node.addresses, ...LOOPBACK] : [hostIP]
}

const UNSPECIFIED: readonly Address[] = ['0.0.0.0', '::']

function scopesOf(address: Address): FrontendRow['scope'][] {
  return LOOPBACK.includes(address) ? ['inside'] : ['inside', 'outside']
}

function nameOf({ key, pod }: PortHolder): string {
  return pod.name === '' ? key : `${pod.namespace}/${pod.name}`
}
