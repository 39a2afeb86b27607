import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Machine } from '../kernel/memory/machine.ts'
import { ANCHOR, attachBlocks, ensureAnchor, removeAnchor } from './blocks.ts'

const BLOCKS = { ingress: 71, egress: 72 }

test('the anchor pair keeps both blocks alive, is made once, and follows when they are configured anew', () => {
  const { net } = new Machine().process()
  const bound = (): unknown => net.qdiscs().map(q => [net.link(q.link)?.name, q.ingressBlock, q.egressBlock])
  ensureAnchor(net, BLOCKS)
  const { index } = net.link(ANCHOR) ?? {}
  ensureAnchor(net, BLOCKS)
  assert.equal(net.link(ANCHOR)?.index, index)
  assert.deepEqual(bound(), [[ANCHOR, 71, 72]])
  ensureAnchor(net, { ingress: 81, egress: 82 })
  assert.deepEqual(bound(), [[ANCHOR, 81, 82]])
})

test('both programs are put on their blocks, and replaced there', async () => {
  const { net } = new Machine().process()
  ensureAnchor(net, BLOCKS)
  const filters = (): unknown => [71, 72].map(block => net.filters({ block }))
  for (const programs of [
    { podOut: 3, podIn: 4 },
    { podOut: 5, podIn: 6 },
  ]) {
    attachBlocks(net, BLOCKS, programs)
    assert.deepEqual(filters(), [[{ priority: 1, name: 'pod_out' }], [{ priority: 1, name: 'pod_in' }]])
  }
  await removeAnchor(net)
  await removeAnchor(net)
  assert.deepEqual(filters(), [[], []])
  assert.deepEqual(
    net.links().map(l => l.name),
    ['lo'],
  )
})

for (const name of ['cni0', 'cwan0'])
  test(`a block that ${name} is bound to is refused, naming the device and the keys to change`, () => {
    const { net } = new Machine().process()
    net.run([
      { op: 'link-add', link: { kind: 'bridge', name } },
      { op: 'clsact-add', link: name, ingressBlock: 72 },
    ])
    const refused = new RegExp(`71 and 72 are used by ${name}: .*datapath.ingressBlock and datapath.egressBlock`)
    assert.throws(() => ensureAnchor(net, BLOCKS), refused)
    assert.equal(net.link(ANCHOR), undefined)
  })

test('pods that are bound already are no stranger', () => {
  const { net } = new Machine().process()
  const name = 'cw0123456789ab'
  net.run([
    { op: 'link-add', link: { kind: 'veth', name, peer: { name: 'peer' } } },
    { op: 'clsact-add', link: name, ingressBlock: 71, egressBlock: 72 },
  ])
  ensureAnchor(net, BLOCKS)
  assert.notEqual(net.link(ANCHOR), undefined)
})
