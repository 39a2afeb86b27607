/** A Service with its EndpointSlices, as API server and EndpointSlice controller would tell of them. Pure. */
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import type { ServiceProtocol } from '../../daemon/state/service-rows.ts'
import { familyOf } from './state.ts'

export interface ServedPort {
  readonly protocol: ServiceProtocol
  readonly port: number
  /** Of the endpoints. */
  readonly targetPort: number
  readonly nodePort?: number
}
export interface ServiceEndpoint {
  readonly addresses: readonly Address[]
  readonly node: string
  /** It serves on while it ends. */
  readonly terminating?: boolean
  /** Where it is, and which clients it is meant for. */
  readonly zone?: string
}
export interface Service {
  readonly name: string
  /** One of each family that the service has. */
  readonly clusterIPs: readonly Address[]
  readonly ports: readonly ServedPort[]
  readonly endpoints: readonly ServiceEndpoint[]
  readonly annotations?: Readonly<Record<string, string>>
  /** What else stands there. */
  readonly spec?: object
  readonly status?: object
}

/** In the namespace `default`: the Service, then a slice for each family. */
export function serviceObjects(service: Service): object[] {
  const { name, clusterIPs, ports, annotations, spec, status } = service
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', annotations },
    spec: {
      clusterIP: clusterIPs[0],
      clusterIPs,
      ports: ports.map(port => ({ ...port, name: portName(port) })),
      ...spec,
    },
    status,
  }
  return [object, ...clusterIPs.map(address => sliceObject(service, familyOf(address)))]
}

function sliceObject({ name, ports, endpoints }: Service, family: Family): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-ipv${family}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: `IPv${family}`,
    ports: ports.map(port => ({ name: portName(port), protocol: port.protocol, port: port.targetPort })),
    endpoints: endpoints.map(({ addresses, node, terminating = false, zone }) => ({
      addresses: addresses.filter(address => familyOf(address) === family),
      conditions: { ready: !terminating, serving: true, terminating },
      nodeName: node,
      ...(zone === undefined ? {} : { zone, hints: { forZones: [{ name: zone }] } }),
    })),
  }
}

function portName({ protocol, port }: ServedPort): string {
  return `${protocol.toLowerCase()}-${port}`
}
