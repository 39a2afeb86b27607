import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodRow } from '../../state/tables.ts'
import { strayProblems } from './own-strays.ts'

const pod = (name: string, addresses: readonly string[], hostNetwork = false): PodRow => ({
  namespace: 'default',
  name,
  uid: '',
  nodeName: 'n1',
  addresses,
  hostNetwork,
  labels: {},
})
const node = { name: 'n1', addresses: [], labels: {}, podCidrs: ['10.1.0.0/24', 'fd00:1::/112'] }

test('pods within the ranges of their node, in its own network, or without addresses are no problem', () => {
  const pods = [pod('in', ['10.1.0.7', 'fd00:1::7']), pod('host', ['192.0.2.1'], true), pod('new', [])]
  assert.deepEqual(strayProblems(node, pods), [])
  assert.deepEqual(strayProblems(undefined, [pod('any', ['10.9.0.1'])]), [], 'nothing is known of the node')
})

test('pods of which one address is outside are named together, and of many the first', () => {
  const half = pod('half', ['10.1.0.8', 'fd00:9::8'])
  assert.deepEqual(strayProblems(node, [half]), [
    {
      place: 'Node n1',
      message:
        "other nodes do not reach pods at addresses outside this node's ranges: default/half; delete them, so that they are started anew at others",
    },
  ])
  const many = Array.from({ length: 7 }, (_, i) => pod(`p${i}`, [`10.9.0.${i + 1}`]))
  assert.match(strayProblems(node, many)[0]?.message ?? '', /: default\/p0, .*default\/p4 and 2 more; /)
})
