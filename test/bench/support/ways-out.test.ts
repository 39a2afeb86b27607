import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PEERS, peerNode, peerPod, peerPods, planPeer } from './ways-out.ts'

const places = { underlay: 'underlay', node: 'node', pods: ['a', 'b'] }

test('no two pods or nodes of any peer have the same address', () => {
  const all = PEERS.flatMap(way => [peerNode(way), peerPod(way, 0), peerPod(way, 1)])
  assert.equal(new Set(all).size, all.length)
})

test('all pods of a peer are in its prefix', () => {
  for (const way of PEERS)
    for (const pod of [0, 9]) assert.ok(peerPod(way, pod).startsWith(peerPods(way).replace('0.0/16', '')))
})

test('each pod has a device, its address and a way out by its gateway', () => {
  const steps = planPeer('iptables', places, 1400)
  for (const [pod, netns] of places.pods.entries()) {
    const born = steps.flatMap(s => s.requests).filter(r => r.op === 'link-add' && r.link.name === `pod${pod}`)
    assert.partialDeepStrictEqual(born, [{ link: { mtu: 1400, peer: { name: 'eth0', mtu: 1400, netns } } }])
    const own = steps.filter(s => s.netns === netns).flatMap(s => s.requests)
    assert.partialDeepStrictEqual(own.slice(2), [
      { op: 'address-add', address: `${peerPod('iptables', pod)}/24` },
      { op: 'route-add', route: { dst: '0.0.0.0/0', via: `10.211.${pod}.1` } },
    ])
  }
})
