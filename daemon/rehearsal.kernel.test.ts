import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FakeDaemon } from '../test/support/fake-daemon.ts'
import { FakeLog } from '../test/support/fake-log.ts'
import { LinuxKernel } from './kernel/linux.ts'
import { openNewNetns } from './kernel/netns/create.ts'
import { inNetns } from './kernel/netns/in-netns.ts'
import { warmThreadPool } from './kernel/netns/thread-pool.ts'
import { rehearse } from './rehearsal.ts'

let kernel: LinuxKernel
let folder: string
before(async () => {
  await warmThreadPool()
  using netns = openNewNetns()
  kernel = inNetns(netns.fd, () => new LinuxKernel())
  folder = mkdtempSync(join(tmpdir(), 'cw-rehearsal-'))
})
after(() => {
  kernel[Symbol.dispose]()
  rmSync(folder, { recursive: true, force: true })
})

const families = [4, 6] as const
const never = new AbortController().signal

test('a pod that does not exist is served, and the node has nothing of it', async () => {
  const socketPath = join(folder, 'api.sock')
  const seen = (): object => ({ links: kernel.net.links(), routes: kernel.net.routes(), qdiscs: kernel.net.qdiscs() })
  const log = new FakeLog()
  const before = seen()
  await using daemon = await FakeDaemon.listen(socketPath, () => ({ status: 400, body: {} }))
  await rehearse({ kernel, families, socketPath, log }, never)
  assert.deepEqual(log.lines, [])
  assert.deepEqual(daemon.asked, [{ path: '/v1/cni/add', body: {} }])
  assert.deepEqual(seen(), before)
})

test('a rehearsal that fails is told and keeps nobody from starting', async () => {
  const log = new FakeLog()
  await rehearse({ kernel, families, socketPath: join(folder, 'nobody.sock'), log }, never)
  assert.equal(log.lines.length, 1)
  assert.match(log.lines[0] ?? '', /^warn the rehearsal of an ADD failed; .*ENOENT/)
})
