/** Nodes whose daemon is ready, marked at an API server that does not take it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import { isReady, markReadyNodes } from './node-readiness.ts'
import { createOperatorTables } from './rows.ts'
import { networkRow, nodeRow } from './testdata.ts'

const readiness: readonly (readonly [what: string, ready: boolean, node: object, network: object | undefined])[] = [
  ['its daemon says so', true, {}, { ready: true }],
  ['its daemon says so in this life of the machine', true, { bootId: 'b' }, { ready: true, bootId: 'b' }],
  ['its daemon said so before the machine started again', false, { bootId: 'c' }, { ready: true, bootId: 'b' }],
  ['the daemon of a Node that had its name said so', false, {}, { ready: true, nodeUid: 'before' }],
  ['its daemon says that it is not', false, {}, { ready: false }],
  ['nobody has said anything', false, {}, undefined],
]
for (const [what, ready, node, network] of readiness)
  test(`a node of which ${what} is ${ready ? '' : 'not '}ready`, () => {
    const row = network === undefined ? undefined : networkRow('a', [], network)
    assert.equal(isReady(nodeRow('a', node), row), ready)
  })

test('a refusal is told once, asked again ever later, and told when it is another', async () => {
  const [clock, tables, log] = [new FakeClock(), createOperatorTables(), new FakeLog()]
  tables.nodes.put(nodeRow('a', { networkUnavailable: 'True' }))
  tables.networks.put(networkRow('a', [], { ready: true }))
  let status = 403
  let asked = 0
  const client = {
    get: () => Promise.resolve({}),
    patch: () => {
      asked++
      return status === 200 ? Promise.resolve({}) : Promise.reject(new ApiError('PATCH nodes', status, 'no'))
    },
  }
  const stop = new AbortController()
  const running = markReadyNodes({ client, tables, log, clock }, stop.signal)
  await clock.advance(5 * 60_000)
  assert.ok(asked > 10 && asked < 40, `asked ${asked} times in 5 minutes`)
  assert.deepEqual(log.lines, ['warn a node could not be marked as ready failure=Node a: PATCH nodes: 403 no'])
  status = 500
  await clock.advance(60_000)
  assert.equal(log.lines.length, 2)
  status = 200
  await clock.advance(60_000)
  assert.equal(log.lines.at(-1), 'info the network of a node is ready node=a')
  stop.abort()
  await running
})
