import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Net } from '../kernel/kernel.ts'
import { Machine } from '../kernel/memory/machine.ts'
import { ensureOverlay, OVERLAY_MAC, removeOverlay } from './overlay.ts'

const settings = { port: 8472, mtu: 1450, families: [4, 6] } as const
const print = (net: Net): string => {
  const link = net.link('cw-vxlan')
  if (link === undefined) return 'none'
  const gateways = net.neighbours().filter(n => n.link === link.index && n.mac === OVERLAY_MAC)
  const state = `${link.up ? 'up' : 'down'} port ${link.vxlan?.port} mtu ${link.mtu}`
  return `${state} ${link.mac === OVERLAY_MAC ? '' : 'other MAC '}gateways ${gateways.map(n => n.address).join(' ')}`
}
const WHOLE = 'up port 8472 mtu 1450 gateways 169.254.1.2 fe80::2'

test('the device is made once, and put right where somebody changed it', () => {
  const { net } = new Machine().process()
  const made = ensureOverlay(net, settings)
  assert.deepEqual(ensureOverlay(net, settings), made)
  assert.equal(print(net), WHOLE)
  net.run([{ op: 'link-set', link: 'cw-vxlan', up: false, mtu: 1300, mac: '02:00:00:00:00:07' }])
  assert.deepEqual(ensureOverlay(net, settings), made)
  assert.equal(print(net), WHOLE)
  net.run([{ op: 'link-delete', link: 'cw-vxlan' }])
  assert.notEqual(ensureOverlay(net, settings).index, made.index)
  assert.equal(print(net), WHOLE)
})

test('another port makes another device, which keeps its MTU while nothing better is known', () => {
  const { net } = new Machine().process()
  const made = ensureOverlay(net, settings)
  const next = ensureOverlay(net, { ...settings, port: 4789, mtu: 8950, provisional: true })
  assert.notEqual(next.index, made.index)
  assert.equal(next.mtu, 1450)
  assert.equal(print(net), 'up port 4789 mtu 1450 gateways 169.254.1.2 fe80::2')
  assert.deepEqual(ensureOverlay(net, { ...settings, port: 4789, mtu: 8950 }), { index: next.index, mtu: 8950 })
})

test('a family that pods do not have gets no gateway: a kernel without IPv6 would refuse it', () => {
  const { net } = new Machine().process()
  ensureOverlay(net, { ...settings, families: [4] })
  assert.equal(print(net), 'up port 8472 mtu 1450 gateways 169.254.1.2')
})

test('a device of another kind with that name is refused, and left alone at the end', async () => {
  const { net } = new Machine().process()
  net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'cw-vxlan' } }])
  assert.throws(() => ensureOverlay(net, settings), /cw-vxlan exists and is a bridge device/)
  await removeOverlay(net)
  assert.equal(net.link('cw-vxlan')?.kind, 'bridge')
  net.run([{ op: 'link-delete', link: 'cw-vxlan' }])
  ensureOverlay(net, settings)
  await removeOverlay(net)
  assert.equal(print(net), 'none')
})
