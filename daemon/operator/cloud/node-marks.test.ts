/** What the scheduler is told, at an API server that may refuse it, and beside others who write to the same Nodes. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { ApiError } from '../../cluster/kubernetes/api-error.ts'
import type { ClusterNodeRow } from '../rows.ts'
import { createOperatorTables } from '../rows.ts'
import { nodeRow } from '../testdata.ts'
import { markNodes, NO_MARKS, type NodeMarks } from './node-marks.ts'

const THEIRS = { key: 'theirs', effect: 'NoSchedule', value: 'yes' }

function world(t: TestContext, row: Partial<ClusterNodeRow>, marks: NodeMarks | undefined, taint = true) {
  const [clock, tables, log] = [new FakeClock(), createOperatorTables(), new FakeLog()]
  const patches: unknown[] = []
  const server = { status: 200, taints: [THEIRS] as readonly object[] }
  const client = {
    get: () => Promise.resolve({ metadata: { resourceVersion: '7' }, spec: { taints: server.taints } }),
    patch: (_: unknown, { patch }: { readonly patch: unknown }) => {
      patches.push(patch)
      return server.status === 200 ? Promise.resolve({}) : Promise.reject(new ApiError('PATCH', server.status, 'no'))
    },
  }
  tables.nodes.put(nodeRow('a', row))
  const stop = new AbortController()
  const options = { client, tables, marks: () => marks, changed: [], taint, log, clock }
  const running = markNodes(options, stop.signal)
  t.after(async () => {
    stop.abort()
    await running
  })
  return { clock, tables, log, patches, server }
}
const capacity = (value: string | null): object => {
  const resources = { 'causeway.dev/addresses': value }
  return { status: { capacity: resources, allocatable: resources } }
}
const taints = (...all: readonly object[]): object => ({ metadata: { resourceVersion: '7' }, spec: { taints: all } })
const OURS = { key: 'causeway.dev/no-addresses', effect: 'NoSchedule' }

test('a count is written, and again when a kubelet that starts anew has set it to 0', async t => {
  const { clock, tables, patches } = world(t, {}, { capacity: 58, exhausted: false })
  await clock.advance(10)
  assert.deepEqual(patches, [capacity('58')])
  tables.nodes.put(nodeRow('a', { addressCapacity: '58' }))
  await clock.advance(60_000)
  assert.equal(patches.length, 1)
  tables.nodes.put(nodeRow('a', { addressCapacity: '0' }))
  await clock.advance(10)
  assert.deepEqual(patches.slice(1), [capacity('58')])
})

const cases: readonly (readonly [
  what: string,
  row: Partial<ClusterNodeRow>,
  marks: NodeMarks | undefined,
  taint: boolean,
  want: readonly object[],
])[] = [
  [
    'nothing left: tainted beside others',
    { addressCapacity: '4' },
    { capacity: 4, exhausted: true },
    true,
    [taints(THEIRS, OURS)],
  ],
  ['nothing left and not configured', { addressCapacity: '4' }, { capacity: 4, exhausted: true }, false, []],
  [
    'configured no more',
    { addressCapacity: '4', withoutAddresses: true },
    { capacity: 4, exhausted: true },
    false,
    [taints(THEIRS)],
  ],
  [
    'something left',
    { addressCapacity: '4', withoutAddresses: true },
    { capacity: 4, exhausted: false },
    true,
    [taints(THEIRS)],
  ],
  ['not known yet: as it is', { addressCapacity: '4', withoutAddresses: true }, undefined, true, []],
  [
    'no cloud any more',
    { addressCapacity: '4', withoutAddresses: true },
    NO_MARKS,
    true,
    [capacity(null), taints(THEIRS)],
  ],
]
for (const [what, row, marks, taint, want] of cases)
  test(what, async t => {
    const at = world(t, row, marks, taint)
    if (row.withoutAddresses === true) at.server.taints = [THEIRS, OURS]
    await at.clock.advance(10)
    assert.deepEqual(at.patches, want)
  })

test('a refusal is told once, and asked again ever later', async t => {
  const { clock, patches, log, server } = world(t, {}, { capacity: 58, exhausted: false })
  server.status = 409
  await clock.advance(5 * 60_000)
  assert.ok(patches.length > 0 && patches.length < 60, `${patches.length} patches`)
  assert.deepEqual(
    log.lines.filter(line => line.startsWith('warn')),
    log.lines.slice(0, 1),
  )
})
