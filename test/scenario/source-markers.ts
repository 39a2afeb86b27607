/**
 * Objects that come and go so that a test knows when sources have caught up: each collection is watched by itself, and one
 * that has shown its marker has shown everything before it.
 */
import type { Tables } from '../../daemon/state/tables.ts'
import type { ApiClient } from '../../deploy/lab/api-server/client.ts'
import { eventually } from '../support/eventually.ts'

const OWN = '/apis/causeway.dev/v1alpha1'
const IN_DEFAULT = '/api/v1/namespaces/default'
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'
const RANGE = '198.18.0.0/32'

interface Marker {
  readonly collection: string
  readonly object: object
  readonly name: string
  readonly shown: (tables: Tables) => boolean
}

export class SourceMarkers {
  readonly #admin: Pick<ApiClient, 'create' | 'request'>
  readonly #sources: readonly { readonly node: string; readonly tables: Tables }[]
  #number = 0

  constructor(
    admin: Pick<ApiClient, 'create' | 'request'>,
    sources: readonly { readonly node: string; readonly tables: Tables }[],
  ) {
    this.#admin = admin
    this.#sources = sources
  }

  /** Resolves once every source has what was written before, and no marker is left. */
  async seen(): Promise<void> {
    const name = `marker-${++this.#number}`
    const common = commonMarkers(name)
    const sources = this.#sources.map(({ node, tables }) => ({ tables, markers: [...common, podMarker(name, node)] }))
    const all = [...common, ...this.#sources.map(({ node }) => podMarker(name, node))]
    for (const { collection, object } of all) expect(await this.#admin.create(collection, object), 201)
    for (const { tables, markers } of sources)
      await eventually(() => markers.every(marker => marker.shown(tables)), { pollMs: 1 })
    for (const { collection, name: own } of all)
      expect(await this.#admin.request('DELETE', `${collection}/${own}?gracePeriodSeconds=0`), 200)
    for (const { tables, markers } of sources)
      await eventually(() => !markers.some(marker => marker.shown(tables)), { pollMs: 1 })
  }
}

function expect({ status, text }: { readonly status: number; readonly text: string }, wanted: number): void {
  if (status !== wanted) throw new Error(`the API server answers ${status}: ${text}`)
}

function podMarker(name: string, node: string): Marker {
  const own = `${name}-${node}`
  const containers = [{ name: 'c', image: 'i' }]
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: own }, spec: { nodeName: node, containers } }
  const shown = ({ pods }: Tables): boolean => [...pods].some(row => row.name === own)
  return { collection: `${IN_DEFAULT}/pods`, object, name: own, shown }
}

/** NodeNetworks show only in the row of their node. */
function commonMarkers(name: string): readonly Marker[] {
  const metadata = { name }
  const policy = { selectors: [{}], destinations: [RANGE], gateways: [{ nodeSelector: {} }] }
  const own = { apiVersion: 'causeway.dev/v1alpha1', metadata }
  const core = { apiVersion: 'v1', metadata }
  const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4', endpoints: [] }
  const parts: readonly (readonly [collection: string, object: object, shown: Marker['shown']])[] = [
    ['/api/v1/nodes', { ...core, kind: 'Node' }, ({ nodes }) => nodes.get(name) !== undefined],
    [
      `${OWN}/nodenetworks`,
      { ...own, kind: 'NodeNetwork', spec: { podCidrs: [RANGE] } },
      ({ nodes }) => nodes.get(name)?.podCidrs.includes(RANGE) === true,
    ],
    ['/api/v1/namespaces', { ...core, kind: 'Namespace' }, ({ namespaces }) => has(namespaces, name)],
    [
      `${OWN}/egresspolicies`,
      { ...own, kind: 'EgressPolicy', spec: policy },
      ({ egressPolicies }) => has(egressPolicies, name),
    ],
    [
      `${IN_DEFAULT}/services`,
      { ...core, kind: 'Service', spec: { ports: [{ port: 1 }] } },
      ({ services }) => has(services, name),
    ],
    [
      POLICIES,
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { podSelector: {} } },
      ({ networkPolicies }) => has(networkPolicies, name),
    ],
    [SLICES, { ...slice, metadata }, ({ endpointSlices }) => has(endpointSlices, name)],
  ]
  return parts.map(([collection, object, shown]) => ({ collection, object, name, shown }))
}

function has(table: Iterable<{ readonly name: string }>, name: string): boolean {
  return [...table].some(row => row.name === name)
}
