/** Which backend a flow is given where a service has a Maglev table. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { maglevTable } from '../../daemon/service/maglev.ts'
import { flowHash } from '../../daemon/service/flow-hash.ts'
import { fromMapped16, toMapped16 } from '../../daemon/kernel/ip.ts'
import { PROTOCOL } from '../support/packet.ts'
import { tcp } from '../support/packet-transport.ts'
import { SERVICE_PORT } from './service-maps.ts'
import { serviceNode } from './service-node.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, fromRouter, ip, NATIVE, OUTSIDE, OVERLAID } from './world.ts'

const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
const FLOWS = 60

const at = serviceNode()

function destination(frame: Uint8Array, family: Family): string {
  return fromMapped16(family === 4 ? mapped(frame.subarray(30, 34)) : frame.slice(38, 54))
}

function mapped(address: Uint8Array): Uint8Array {
  return toMapped16(address.join('.'))
}

for (const f of FAMILIES)
  suite(`IPv${f}, a service with a Maglev table`, () => {
    const ports = Array.from({ length: FLOWS }, (_, i) => 2048 + i)
    /** Whom a connection from outside gets, by its port. */
    const given = (port: number): string => {
      const opening = tcp({ sport: port, dport: SERVICE_PORT, flags: 'S' })
      const { verdict, bytes } = at.node.send('uplink_in', 'uplink', [fromRouter, ip(f, OUTSIDE, VIP), opening])
      assert.equal(verdict, 'redirect')
      return destination(bytes, f)
    }
    const outside = { address: VIP[f], protocol: 'tcp', scope: 'outside' } as const

    test('gives each flow the backend that its tuple leads to', () => {
      const backends = [A[f], NATIVE[f], OVERLAID[f]]
      const table = maglevTable(
        backends.map(name => ({ name, weight: 1 })),
        1021,
        '',
      )
      at.make({ ...outside, backends, byFlow: true, table: [...table] })
      const wanted = ports.map(sourcePort => {
        const addresses = { source: toMapped16(OUTSIDE[f]), destination: toMapped16(VIP[f]) }
        const flow = { ...addresses, sourcePort, destinationPort: SERVICE_PORT, protocol: PROTOCOL.tcp }
        return backends[table[flowHash(flow) % table.length] ?? 0]
      })
      assert.deepEqual(ports.map(given), wanted)
      assert.equal(new Set(wanted).size, backends.length)
    })

    test('gives shares by chance where the flow does not choose', () => {
      const table = Array.from({ length: 251 }, () => 1)
      at.make({ ...outside, backends: [A[f], B[f]], table })
      assert.deepEqual(new Set(ports.map(given)), new Set([B[f]]))
    })

    test('serves by its slots while what the table holds is none of them', () => {
      const table = Array.from({ length: 251 }, () => 7)
      at.make({ ...outside, backends: [A[f], B[f]], byFlow: true, table })
      assert.deepEqual(new Set(ports.map(given)), new Set([A[f], B[f]]))
    })

    test('goes by the table for clients of the node too', () => {
      const table = Array.from({ length: 251 }, () => 1)
      at.make({ address: VIP[f], protocol: 'tcp', backends: [NATIVE[f], OVERLAID[f]], byFlow: true, table })
      const got = ports.map(port => {
        const opening = tcp({ sport: port, dport: SERVICE_PORT, flags: 'S' })
        return destination(at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, VIP), opening]).bytes, f)
      })
      assert.deepEqual(new Set(got), new Set([OVERLAID[f]]))
    })
  })
