/** The daemon with the capabilities of daemon/capabilities.ts and no others, as its container has them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { CAPABILITIES, missingCapabilities } from '../../daemon/capabilities.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { get } from '../../deploy/lab/api.ts'
import { builtProject, PROBE } from '../../deploy/lab/built.ts'
import { runMatrix } from '../../deploy/lab/check.ts'
import { matrix } from '../../deploy/lab/matrix.ts'
import { isRunning, send } from '../../deploy/lab/namespaces.ts'
import { type Built, daemonProcess, launchDaemon, startDaemon } from '../../deploy/lab/node.ts'
import { ownLab } from '../../deploy/lab/own.ts'
import type { Lab } from '../../deploy/lab/state.ts'
import { buildLab } from '../../deploy/lab/up.ts'
import { eventually } from '../support/eventually.ts'

const NAME = 'tcaps'
const signal = AbortSignal.timeout(120_000)

/** The project, its daemon bounded to some capabilities, and without a way to others. */
function bounded(names: readonly string[]): Built {
  const built = builtProject()
  const set = ['-all', ...names.map(name => `+${name.toLowerCase()}`)].join(',')
  return { ...built, daemon: ['setpriv', '--no-new-privs', '--bounding-set', set, '--', ...built.daemon] }
}

suite('a daemon with its capabilities alone', () => {
  const stack = new AsyncDisposableStack()
  const names = CAPABILITIES.map(c => c.name)
  let lab: Lab

  before(async () => {
    await warmThreadPool()
    const kernel = stack.use(new LinuxKernel())
    const own = stack.use(await ownLab(NAME, signal))
    const options = { nodes: 2, pods: 2, set: [] }
    lab = await buildLab(own.layout, options, { kernel, built: bounded(names), signal, say: () => {} })
  })
  after(() => stack.disposeAsync())

  test('has those and no others', () => {
    for (const node of lab.nodes) {
      const status = readFileSync(`/proc/${daemonProcess(node)?.pid}/status`, 'utf8')
      const wanted = CAPABILITIES.reduce((bits, { number }) => bits | (1n << BigInt(number)), 0n)
      assert.match(status, new RegExp(`^CapEff:\\s*${wanted.toString(16).padStart(16, '0')}$`, 'm'))
      assert.deepEqual(missingCapabilities(status), [])
    }
  })

  test('serves every way of the matrix', async () => {
    const results = await runMatrix(lab, matrix(lab), PROBE, signal)
    assert.deepEqual(
      results.filter(r => !r.ok),
      [],
    )
    assert.ok(results.length > 100)
  })

  test('takes over what the one before it left, and has no problems', async () => {
    const [node] = lab.nodes
    assert.ok(node)
    const before = daemonProcess(node)
    assert.ok(before)
    send('SIGTERM', [before])
    await eventually(() => !isRunning(before), { timeoutMs: 15_000 })
    await startDaemon(lab.layout, node, bounded(names), signal)
    const { problems } = (await get(node.socket, '/v1/status', signal)).body as { readonly problems: readonly object[] }
    assert.deepEqual(problems, [])
  })

  for (const { name, why } of CAPABILITIES)
    test(`does not start without CAP_${name}, and says so`, async () => {
      const [, node] = lab.nodes
      assert.ok(node)
      const running = daemonProcess(node)
      if (running) send('SIGTERM', [running])
      await eventually(() => running === undefined || !isRunning(running), { timeoutMs: 15_000 })
      const child = launchDaemon(lab.layout, node, bounded(names.filter(n => n !== name)))
      const [status] = (await once(child, 'exit')) as [number]
      assert.equal(status, 1)
      assert.ok(readFileSync(node.log, 'utf8').includes(`CAP_${name} is missing: it ${why}`))
    })
})
