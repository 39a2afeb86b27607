/** A lab of one process: what was left is gone, nobody else comes in, and nothing stays. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { enterCgroup, nodeCgroup } from './cgroup.ts'
import { withParent } from './command.ts'
import { exists } from './down.ts'
import { labLayout } from './layout.ts'
import { addNamespace, listNamespaces } from './namespaces.ts'
import { ownLab, removeLab } from './own.ts'

const NAME = `own${process.pid}`.slice(0, 12)
const layout = labLayout(NAME)
const soon = (): AbortSignal => AbortSignal.timeout(10_000)

test('is empty at first and at last, and nobody else gets it meanwhile', async () => {
  await addNamespace(`${layout.netnsPrefix}left`)
  mkdirSync(join(layout.root, 'node1/state'), { recursive: true })
  {
    await using lab = await ownLab(NAME, soon())
    assert.equal(exists(lab.layout), false)
    const busy = AbortSignal.timeout(300)
    await assert.rejects(ownLab(NAME, busy), { name: 'AbortError' })
    await addNamespace(`${layout.netnsPrefix}more`)
    writeFileSync(join(layout.root, 'file'), '')
  }
  assert.deepEqual(listNamespaces(layout.netnsPrefix), [])
  assert.equal(existsSync(layout.root), false)
  await removeLab(NAME, soon())
  assert.equal(existsSync(layout.root), false)
})

test('what a process starts while it is told to end is ended too', async t => {
  t.after(() => removeLab(NAME, soon()))
  const netns = `${layout.netnsPrefix}stubborn`
  await addNamespace(netns)
  const script = 'trap "sleep 60 & exit" TERM; echo ready; while :; do sleep 0.05; done'
  const child = spawn('ip', ['netns', 'exec', netns, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(child.stdout, 'data')
  const inode = statSync(`/run/netns/${netns}`).ino
  await removeLab(NAME, soon())
  const left = readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && namespaceOf(pid) === `net:[${inode}]`)
  for (const pid of left) process.kill(Number(pid), 'SIGKILL')
  assert.deepEqual(left, [])
})

/** Of a process; undefined when it has ended. */
function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return undefined
  }
}

test("a node's folder alone is something that is there", async t => {
  t.after(() => removeLab(NAME, soon()))
  mkdirSync(join(layout.root, 'node1/state'), { recursive: true })
  assert.equal(exists(layout), true)
})

test('a program that has not entered its namespace yet ends with the lab', async t => {
  t.after(() => removeLab(NAME, soon()))
  const [file = '', ...args] = withParent(['sleep', '60'])
  const child = spawn(file, args, { stdio: 'ignore' })
  const ended = once(child, 'exit')
  enterCgroup(nodeCgroup(NAME, 'node1'), child.pid)
  await removeLab(NAME, soon())
  assert.deepEqual(await ended, [null, 'SIGTERM'])
})
