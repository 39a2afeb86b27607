/** Services that give a new flow to the one of two backends that has fewer. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { loadKeyLayout, loadLayout, natKeyLayout, natValueLayout } from '../../daemon/datapath/shared.gen.ts'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { fromMapped16, toMapped16 } from '../../daemon/kernel/ip.ts'
import { tcp } from '../support/packet-transport.ts'
import { BACKEND_PORT, SERVICE_PORT } from './service-maps.ts'
import { serviceNode } from './service-node.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, ip, NATIVE, OVERLAID } from './world.ts'

const VIP: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
const TCP = 6
const at = serviceNode()

const setLoads = (f: Family, ...loads: readonly (readonly [Both, number])[]): void => {
  using map = at.node.object('pod').map('loads', codec(loadKeyLayout, loadLayout))
  for (const [backend, live] of loads)
    map.update({ address: toMapped16(backend[f]), port: BACKEND_PORT, protocol: TCP }, { live, counting: 0 })
}
const loads = (): Record<string, number> => {
  using map = at.node.object('pod').map('loads', codec(loadKeyLayout, loadLayout))
  return Object.fromEntries([...map.entries()].map(([{ address }, { live }]) => [fromMapped16(address), live]))
}
/** New flows from as many ports; how many went to each backend. */
const open = (f: Family, count: number): Record<string, number> => {
  for (let i = 0; i < count; i++) {
    const request = tcp({ sport: 2000 + i, dport: SERVICE_PORT, flags: 'S' })
    at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, VIP), request])
  }
  using map = at.node.object('pod').map('translations', codec(natKeyLayout, natValueLayout))
  const forward = [...map.entries()].filter(([, { flags }]) => flags === 0)
  const to = Object.groupBy(forward, ([, { destination }]) => fromMapped16(destination))
  return Object.fromEntries(Object.entries(to).map(([address, flows = []]) => [address, flows.length]))
}

for (const f of FAMILIES)
  suite(`IPv${f}, by the fewer flows of two`, () => {
    const serve = (...backends: readonly Both[]): void =>
      void at.make({ address: VIP[f], protocol: 'tcp', backends: backends.map(b => b[f]), least: true })

    test('of two backends the lighter one takes all flows until it is as heavy', () => {
      serve(B, NATIVE)
      setLoads(f, [B, 100], [NATIVE, 80])
      assert.deepEqual(open(f, 20), { [NATIVE[f]]: 20 })
      assert.deepEqual(loads(), { [B[f]]: 100, [NATIVE[f]]: 100 })
    })

    test('of more than two the heaviest takes none, and all come to have about as many', () => {
      serve(B, NATIVE, OVERLAID)
      setLoads(f, [B, 1000], [NATIVE, 0], [OVERLAID, 0])
      const { [NATIVE[f]]: one = 0, [OVERLAID[f]]: other = 0, ...more } = open(f, 200)
      assert.deepEqual(more, {})
      // Chance pairs each with the heaviest a third of the time: it then takes the flow whatever it has.
      assert.ok(Math.abs(one - other) < 60, `${one} and ${other}`)
    })

    test('one whose flows nobody has counted yet is taken for the lighter one', () => {
      serve(B, NATIVE)
      setLoads(f, [B, 1])
      assert.deepEqual(open(f, 10), { [NATIVE[f]]: 10 })
    })

    test('the expiry of conntrack counts what there is, by whom it was opened to', async () => {
      serve(B)
      setLoads(f, [B, 77], [A, 5])
      open(f, 7)
      await at.node.expire(1n)
      assert.deepEqual(loads(), { [B[f]]: 7, [A[f]]: 0 })
    })
  })
