/** A short form of the lab: two nodes, by native routing and through VXLAN, IPv4 and IPv6. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../../daemon/kernel/netns/thread-pool.ts'
import { builtProject, PROBE } from '../../../deploy/lab/built.ts'
import { runMatrix } from '../../../deploy/lab/check.ts'
import { matrix } from '../../../deploy/lab/matrix.ts'
import { ownLab } from '../../../deploy/lab/own.ts'
import { buildLab } from '../../../deploy/lab/up.ts'

/** One packet, and many: the others take a guest's time and show nothing more of a kernel. */
const SIZES = [1, 64_000]
const TIMEOUT_MS = 280_000

for (const mode of ['native', 'overlay'])
  test(`every row holds by routing.mode=${mode}`, { timeout: TIMEOUT_MS }, async () => {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    await warmThreadPool()
    using kernel = new LinuxKernel()
    await using own = await ownLab('guest', signal)
    const options = { nodes: 2, pods: 2, set: [`routing.mode=${mode}`] }
    const lab = await buildLab(own.layout, options, { kernel, built: builtProject(), signal, say: () => {} })
    // Both directions of a way are walked by one: of two nodes alike the first one asks.
    const rows = matrix(lab).filter(row => SIZES.includes(row.bytes) && /^(node1|outside)/.test(row.from.name))
    assert.ok(rows.length >= 80, `${rows.length} rows`)
    const results = await runMatrix(lab, rows, PROBE, signal)
    const failed = results
      .filter(r => !r.ok)
      .map(({ row, error }) => `${row.way} IPv${row.family} ${row.protocol} ${row.bytes}: ${error}`)
    assert.deepEqual(failed, [])
    assert.ok(
      results.some(r => r.flows.length > 0),
      'no flow was recorded',
    )
  })
