/** The init container `mounts` mounts on the node what the node lacks, with the capabilities that the chart gives it. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempDisposableSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../../test/support/eventually.ts'
import { renderManifests } from './render.ts'

interface InitContainer {
  readonly name: string
  readonly command: readonly string[]
  readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } }
}

function mountsContainer(): InitContainer {
  const set = renderManifests().find(m => m.kind === 'DaemonSet')
  assert.ok(set)
  const { template } = set.spec as { template: { spec: { initContainers: InitContainer[] } } }
  const found = template.spec.initContainers.find(container => container.name === 'mounts')
  assert.ok(found)
  return found
}

/** A process that stands for the node's first one: with mounts of its own, and two folders to mount at. */
async function startNode(t: TestContext) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-mounts-'))
  t.after(() => folder.remove())
  const bpffs = join(folder.path, 'bpf')
  const cgroup = join(folder.path, 'cgroup')
  mkdirSync(bpffs)
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', '60'], { stdio: 'ignore' })
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(cgroup, { recursive: true, force: true })
  })
  await eventually(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n')
  const mounts = (): string[] =>
    readFileSync(`/proc/${child.pid}/mounts`, 'utf8')
      .split('\n')
      .filter(line => line.includes(folder.path))
      .map(line => line.split(' ').slice(1, 3).join(' ').replace(folder.path, ''))
  return { pid: child.pid ?? 0, bpffs, cgroup, mounts }
}

/** Runs the container's script as its process would be, with that node. */
async function runScript(node: {
  readonly pid: number
  readonly bpffs: string
  readonly cgroup: string
}): Promise<void> {
  const { command, securityContext } = mountsContainer()
  const [shell = '', flags = '', script = ''] = command
  const names = securityContext.capabilities.add.map(name => `+${name.toLowerCase()}`).join(',')
  const drop = [`--bounding-set=-all,${names}`, '--inh-caps=-all', '--no-new-privs']
  const ofNode = script.replaceAll('/host/proc/1/', `/proc/${node.pid}/`)
  const env = { PATH: process.env.PATH, BPFFS: node.bpffs, CGROUP: node.cgroup }
  await promisify(execFile)('setpriv', [...drop, shell, flags, ofNode], { env })
}

test('what the node lacks is mounted on the node and nowhere else, and only once', async t => {
  const node = await startNode(t)
  await runScript(node)
  await runScript(node)
  assert.deepEqual(node.mounts(), ['/bpf bpf', '/cgroup cgroup2'])
  assert.equal(readFileSync('/proc/self/mounts', 'utf8').includes(node.bpffs), false)
})

test('what cannot be mounted ends the container with the reason', async t => {
  const node = await startNode(t)
  await assert.rejects(runScript({ ...node, bpffs: join(node.bpffs, 'missing') }), {
    stderr: /mount point does not exist/,
  })
  assert.deepEqual(node.mounts(), [])
})
