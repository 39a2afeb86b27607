/** The init container `mounts` mounts on the node what the node lacks, with the capabilities that the chart gives it. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempDisposableSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../../test/support/eventually.ts'
import { BUNDLE } from '../lab/built.ts'
import { renderManifests } from './render.ts'
import { type Container, containersOf, findManifest } from './workloads.ts'

function mountsContainer(): Container {
  const found = containersOf(findManifest(renderManifests(), 'DaemonSet', 'causeway')).get('mounts')
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

/** Runs the container's command as its process would be, with that node; what it prints. */
async function runCommand(node: {
  readonly pid: number
  readonly bpffs: string
  readonly cgroup: string
}): Promise<string> {
  const { command, securityContext } = mountsContainer()
  const names = (securityContext.capabilities.add ?? []).map(name => `+${name.toLowerCase()}`).join(',')
  const drop = [`--bounding-set=-all,${names}`, '--inh-caps=-all', '--no-new-privs']
  using host = mkdtempDisposableSync(join(tmpdir(), 'causeway-host-'))
  symlinkSync(`/proc/${node.pid}`, join(host.path, '1'))
  const places: Readonly<Record<string, string>> = { proc: host.path, bpffs: node.bpffs, cgroup: node.cgroup }
  const args = command.slice(1).map(arg => arg.replace(/^--(\w+)=.*/, (_, name: string) => `--${name}=${places[name]}`))
  const { stdout } = await promisify(execFile)('setpriv', [...drop, process.execPath, BUNDLE, ...args])
  return stdout
}

test('what the node lacks is mounted on the node and nowhere else, and only once', async t => {
  const node = await startNode(t)
  assert.equal(await runCommand(node), `bpf was mounted at ${node.bpffs}\ncgroup2 was mounted at ${node.cgroup}\n`)
  assert.equal(await runCommand(node), 'the node has both already\n')
  assert.deepEqual(node.mounts(), ['/bpf bpf', '/cgroup cgroup2'])
  assert.equal(readFileSync('/proc/self/mounts', 'utf8').includes(node.bpffs), false)
})

test('what cannot be mounted ends the container with the reason', async t => {
  const node = await startNode(t)
  await assert.rejects(runCommand({ ...node, bpffs: '/proc/self/status' }), { code: 1, stderr: /EEXIST|ENOTDIR/ })
  assert.deepEqual(node.mounts(), [])
})
