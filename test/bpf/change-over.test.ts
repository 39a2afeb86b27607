/** While maps take the place of others no flow is translated anew, and those that are open go on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codec, u32, u64 } from '../../daemon/kernel/bpf/layout.ts'
import { tcp } from '../support/packet-transport.ts'
import { effects } from './effects.ts'
import { SERVICE_PORT } from './service-maps.ts'
import { serviceNode } from './service-node.ts'
import { A, B, type Both, FAMILIES, fromPod, ip } from './world.ts'

const VIP: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
const SECOND = 1_000_000_000n
const at = serviceNode()

for (const f of FAMILIES)
  test(`IPv${f}: a new flow to a service waits until the change-over ends, one that is open does not`, () => {
    using until = at.node.object('pod').map('change_over', codec(u32, u64))
    at.make({ address: VIP[f], protocol: 'tcp', backends: [B[f]] })
    const send = (sport: number, flags: string) =>
      at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, VIP), tcp({ sport, dport: SERVICE_PORT, flags })])
    assert.equal(send(1024, 'S').verdict, 'redirect')
    until.update(0, process.hrtime.bigint() + 60n * SECOND)
    assert.equal(send(1024, 'A').verdict, 'redirect')
    assert.equal(send(1025, 'S').verdict, 'drop')
    assert.match(effects(at.node).join('\n'), /count DROPPED pod_out CHANGE_OVER 1/)
    until.update(0, process.hrtime.bigint() - SECOND)
    assert.equal(send(1025, 'S').verdict, 'redirect', 'a daemon that died meanwhile holds nothing up')
    until.update(0, 0n)
  })
