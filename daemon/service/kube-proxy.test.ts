/** Random services, endpoints and clients: what this node makes of them is what kube-proxy does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING } from '../../test/support/service-row.ts'
import { isDeepStrictEqual } from 'node:util'
import { type Asked, kubeProxy, type ModelNode, type Outcome } from '../../test/support/kube-proxy-model.ts'
import { Random } from '../../test/support/random.ts'
import type { EndpointSliceRow, FrontendRow, ServiceRow, SliceEndpoint } from '../state/service-rows.ts'
import { frontendsOf } from './frontends.ts'

const ROUNDS = 1000
const NODES = ['n1', 'n2', 'n3']
const ZONES = ['west', 'east']
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const
const POLICIES = ['Cluster', 'Local'] as const
const ADDRESSES = {
  cluster: ['10.96.0.1', 'fd00:96::1'],
  external: ['198.51.100.1', '2001:db8:1::1'],
  balancer: ['203.0.113.1', '2001:db8:2::1'],
  node: ['192.0.2.1', '2001:db8::1'],
}

function someService(random: Random): ServiceRow {
  const some = (all: readonly string[]): string[] => all.filter(() => random.chance(0.7))
  const type = random.pick(['ClusterIP', 'NodePort', 'LoadBalancer'] as const)
  return {
    namespace: 'default',
    name: 'web',
    type,
    clusterIPs: some(ADDRESSES.cluster),
    externalIPs: some(ADDRESSES.external),
    loadBalancerIPs: type === 'LoadBalancer' ? some(ADDRESSES.balancer) : [],
    sourceRanges: [],
    ports: PROTOCOLS.filter(() => random.chance(0.6)).map((protocol, i) => ({
      name: `p${i}`,
      protocol,
      port: 80 + random.below(2),
      nodePort: type === 'ClusterIP' ? 0 : 30_000 + i,
    })),
    affinitySeconds: 0,
    externalTrafficPolicy: random.pick(POLICIES),
    internalTrafficPolicy: random.pick(POLICIES),
    healthCheckNodePort: 0,
    publishNotReadyAddresses: random.chance(0.1),
    annotations: {},
  }
}

function someEndpoint(random: Random, six: boolean, hints: 'none' | 'some' | 'all'): SliceEndpoint {
  const ready = random.chance(0.5)
  const terminating = !ready && random.chance(0.6)
  const hinted = (all: readonly string[]): string[] =>
    hints === 'all' || (hints === 'some' && random.chance(0.5)) ? [random.pick(all)] : []
  return {
    addresses: [`${six ? 'fd00:1::' : '10.1.0.'}${1 + random.below(6)}`],
    ready,
    serving: ready || random.chance(0.5),
    terminating,
    nodeName: random.pick(NODES),
    zone: '',
    hintZones: hinted(ZONES),
    hintNodes: random.chance(0.5) ? hinted(NODES) : [],
  }
}

/** One of each family; an address stands in one slice only, as the controllers keep it. */
function someSlices(random: Random): EndpointSliceRow[] {
  const hints = random.pick(['none', 'some', 'all'] as const)
  return [false, true].map(six => {
    const endpoints = Array.from({ length: random.below(5) }, () => someEndpoint(random, six, hints))
    const unique = new Map(endpoints.map(e => [e.addresses[0], e]))
    return {
      namespace: 'default',
      name: `web-${six ? 6 : 4}`,
      service: 'web',
      ports: PROTOCOLS.map((protocol, i) => ({ name: `p${i}`, protocol, port: 8080 + i })),
      weight: 1,
      endpoints: [...unique.values()],
    }
  })
}

/** What the rows say of a packet. */
function ours(rows: readonly FrontendRow[], { address, port, protocol, from }: Asked): Outcome {
  const row = rows.find(r => r.address === address && r.port === port && r.protocol === protocol && r.scope === from)
  if (row === undefined) return undefined
  if (row.backends.length === 0) return row.silent ? 'drop' : 'reject'
  return row.backends.map(backend => `${backend.address} ${backend.port}`).sort()
}

/** Every packet that may concern one of the services, or none. */
const PACKETS: readonly Asked[] = Object.values(ADDRESSES)
  .flat()
  .flatMap(address => [80, 81, 30_000, 30_001, 30_002].map(port => ({ address, port })))
  .flatMap(to => PROTOCOLS.map(protocol => ({ ...to, protocol })))
  .flatMap(to => (['inside', 'outside'] as const).map(from => ({ ...to, from })))

test(`${ROUNDS} random services are served as kube-proxy serves them`, () => {
  const random = new Random()
  const met = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const service = someService(random)
    const slices = someSlices(random)
    const node: ModelNode = { name: random.pick(NODES), zone: random.pick(['', ...ZONES]), addresses: ADDRESSES.node }
    const rows = frontendsOf(service, slices, node, PLAIN_BALANCING)
    for (const asked of PACKETS) {
      const want = kubeProxy(service, slices, node, asked)
      met.add(typeof want === 'object' ? 'backends' : `${want}`)
      const have = ours(rows, asked)
      if (isDeepStrictEqual(have, want)) continue
      const facts = JSON.stringify({ asked, service, slices, node }, undefined, 1)
      assert.deepEqual(have, want, `${random.replay}, round ${round}: ${facts}`)
    }
  }
  // Without each of them the comparison would say little.
  assert.deepEqual([...met].sort(), ['backends', 'drop', 'reject', 'undefined'])
})
