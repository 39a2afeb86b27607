/** Random services, endpoints and clients: what this node makes of them is what kube-proxy does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { type Asked, kubeProxy, type ModelNode, type Outcome } from '../../test/support/kube-proxy-model.ts'
import { Random } from '../../test/support/random.ts'
import { allAsked, type ServiceWorld, someService, someSlices } from '../../test/support/random-services.ts'
import { PLAIN_BALANCING } from '../../test/support/service-row.ts'
import { prefixContains } from '../kernel/ip.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import { frontendsOf } from './frontends.ts'

const ROUNDS = 1000
const WORLD: ServiceWorld = {
  cluster: ['10.96.0.1', 'fd00:96::1'],
  external: ['198.51.100.1', '2001:db8:1::1'],
  balancer: ['203.0.113.1', '2001:db8:2::1'],
  node: ['192.0.2.1', '2001:db8::1'],
  endpoints: Object.fromEntries(
    ['10.1.0.', 'fd00:1::'].flatMap(prefix => [1, 2, 3, 4, 5].map(i => [`${prefix}${i}`, `n${(i % 3) + 1}`])),
  ),
  nodes: ['n1', 'n2', 'n3'],
  zones: ['west', 'east'],
  clients: ['198.18.0.1', '198.18.0.2', '2001:db8:3::1', '2001:db8:3::2'],
}

/** What the rows say of a packet. */
function ours(rows: readonly FrontendRow[], { address, port, protocol, from, client }: Asked): Outcome {
  const row = rows.find(r => r.address === address && r.port === port && r.protocol === protocol && r.scope === from)
  if (row === undefined) return undefined
  if (row.sourceRanges.length > 0 && !row.sourceRanges.some(range => prefixContains(range, client))) return 'drop'
  if (row.backends.length === 0) return row.silent ? 'drop' : 'reject'
  return row.backends.map(backend => `${backend.address} ${backend.port}`).sort()
}

test(`${ROUNDS} random services are served as kube-proxy serves them`, () => {
  const random = new Random()
  const met = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const service = someService(random, WORLD)
    const slices = someSlices(random, WORLD)
    const node: ModelNode = {
      name: random.pick(WORLD.nodes),
      zone: random.pick(['', ...WORLD.zones]),
      addresses: WORLD.node,
    }
    const rows = frontendsOf(service, slices, node, PLAIN_BALANCING)
    for (const asked of allAsked(WORLD)) {
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
