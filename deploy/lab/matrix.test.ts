/** Which rows the matrix has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labLayout } from './layout.ts'
import { matrix } from './matrix.ts'
import { describeLab, type Lab } from './state.ts'

function labOf(
  nodes: number,
  pods: number,
  addresses: (pod: string) => readonly string[],
  set: readonly string[] = [],
): Lab {
  const names = Array.from({ length: nodes }, (_, n) => ['a', 'b', 'c'].slice(0, pods).map(p => `node${n + 1}-${p}`))
  return describeLab(labLayout('x'), {
    options: { nodes, pods, set },
    fingerprint: '',
    pods: Object.fromEntries(names.flat().map(n => [n, addresses(n)])),
  })
}
const dual = (pod: string): string[] => [`10.0.0.${pod.length}`, 'fd00::1']

test('two nodes have every way in both directions', () => {
  const ways = matrix(labOf(2, 2, dual)).map(r => `${r.way}: ${r.from.name} → ${r.to.name}`)
  assert.deepEqual(
    [...new Set(ways)],
    [
      'pod → pod, same node: node1-a → node1-b',
      'pod → own node: node1-a → node1',
      'node → own pod: node1 → node1-a',
      'outside → node: outside → node1',
      'outside → pod, no route: outside → node1-a',
      'pod → outside: node1-a → outside',
      'pod → outside, as its node: node1-a → outside',
      'pod → service: node1-a → probe',
      'pod → service, by packet: node1-a → probe',
      'node → service: node1 → probe',
      'outside → node port: outside → probe at node1',
      'pod → service, affinity: node1-a → sticky',
      'pod → service, affinity, by packet: node1-a → sticky',
      'outside → node port, affinity: outside → sticky at node1',
      'pod → service, own node: node1-a → local',
      'pod → service, own node, by packet: node1-a → local',
      'outside → node port, own node: outside → local at node1',
      'pod → service, own zone: node1-a → near',
      'pod → service, own zone, by packet: node1-a → near',
      'outside → node port, own zone: outside → near at node1',
      'pod → service, direct: node1-a → direct',
      'pod → service, direct, by packet: node1-a → direct',
      'outside → node port, direct: outside → direct at node1',
      'pod → node port: node1-a → probe at node2',
      'pod → pod, other node, as itself: node1-a → node2-a',
      'pod → pod, other node: node1-a → node2-a',
      'pod → other node: node1-a → node2',
      'node → pod, other node: node1 → node2-a',
      'pod → pod, same node: node2-a → node2-b',
      'pod → own node: node2-a → node2',
      'node → own pod: node2 → node2-a',
      'outside → node: outside → node2',
      'outside → pod, no route: outside → node2-a',
      'pod → outside: node2-a → outside',
      'pod → outside, as its node: node2-a → outside',
      'pod → service: node2-a → probe',
      'pod → service, by packet: node2-a → probe',
      'node → service: node2 → probe',
      'outside → node port: outside → probe at node2',
      'pod → service, affinity: node2-a → sticky',
      'pod → service, affinity, by packet: node2-a → sticky',
      'outside → node port, affinity: outside → sticky at node2',
      'pod → service, own node: node2-a → local',
      'pod → service, own node, by packet: node2-a → local',
      'outside → node port, own node: outside → local at node2',
      'pod → service, own zone: node2-a → near',
      'pod → service, own zone, by packet: node2-a → near',
      'outside → node port, own zone: outside → near at node2',
      'pod → service, direct: node2-a → direct',
      'pod → service, direct, by packet: node2-a → direct',
      'outside → node port, direct: outside → direct at node2',
      'pod → node port: node2-a → probe at node1',
      'pod → pod, other node, as itself: node2-a → node1-a',
      'pod → pod, other node: node2-a → node1-a',
      'pod → other node: node2-a → node1',
      'node → pod, other node: node2 → node1-a',
    ],
  )
})

test('services that choose say who may answer: all in turn, those of the node, of its zone, of the last node', () => {
  const own = (pod: string): string[] => [`10.0.${pod.slice(4, 5)}.${pod.slice(-1) === 'a' ? 1 : 2}`]
  const rows = matrix(labOf(3, 2, own, ['families=[ipv4]'])).filter(
    r => r.from.name === 'node1-a' && r.to.kind === 'service' && !r.byPacket,
  )
  const answers = rows.flatMap(r =>
    r.answers === undefined ? [] : [[r.to.name, r.answers.one, ...r.answers.addresses]],
  )
  assert.deepEqual(answers, [
    ['sticky', true, '10.0.1.1', '10.0.1.2', '10.0.2.1', '10.0.2.2', '10.0.3.1', '10.0.3.2'],
    ['local', false, '10.0.1.1', '10.0.1.2'],
    ['near', false, '10.0.1.1', '10.0.1.2', '10.0.3.1', '10.0.3.2'],
    ['direct', false, '10.0.3.1', '10.0.3.2'],
  ])
})

test('a pod is taken for its node outside', () => {
  const [row] = matrix(labOf(1, 1, dual)).filter(r => r.way === 'pod → outside, as its node')
  const host = labOf(1, 1, dual).stations.find(s => s.kind === 'node')
  assert.deepEqual(row?.answers?.addresses, row?.to.addresses)
  assert.deepEqual(row?.answers?.seen, host?.addresses)
})

test('each way is checked by every protocol, size and family', () => {
  const rows = matrix(labOf(1, 2, dual)).filter(r => r.way === 'pod → pod, same node')
  const text = rows.map(r => `${r.protocol} ${r.family} ${r.bytes}`)
  assert.equal(new Set(text).size, 3 * 2 * 4)
  assert.deepEqual([...new Set(rows.map(r => r.bytes))], [1, 1000, 64_000, 1_000_000])
})

test('what must not arrive is tried once by protocol and family', () => {
  const rows = matrix(labOf(1, 1, dual)).filter(r => !r.reaches)
  assert.equal(rows.length, 3 * 2)
})

test('a family that pods should have and have not keeps its rows, without an address', () => {
  const rows = matrix(labOf(2, 2, () => ['10.0.0.1']))
  assert.equal(rows.length, matrix(labOf(2, 2, dual)).length)
  const without = rows.filter(r => r.address === undefined || r.source === undefined)
  assert.deepEqual([...new Set(without.map(r => r.family))], [6])
  assert.equal(new Set(without.map(r => r.way)).size, 21)
})

test('a family that pods are configured without has no rows of pods', () => {
  const rows = matrix(labOf(2, 2, () => ['10.0.0.1'], ['families=[ipv4]'])).filter(r => r.family === 6)
  assert.deepEqual([...new Set(rows.map(r => r.way))], ['outside → node'])
})

test('a pod alone on its node has nobody there to talk to', () => {
  const rows = matrix(labOf(2, 1, dual))
  assert.equal(rows.filter(r => r.way === 'pod → pod, same node').length, 0)
  assert.equal(rows.filter(r => r.way === 'pod → pod, other node').length, 2 * 24)
})
