/** Namespaces: identity, visits, creation, and that no thread is ever left in one. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { before } from 'node:test'
import { NotANetns, SystemError } from '../errors.ts'
import { NetlinkNet } from '../netlink/net.ts'
import { createNetns, deleteNetns, openNewNetns } from './create.ts'
import { inNetns } from './in-netns.ts'
import { netnsId } from './netns-file.ts'
import { warmThreadPool } from './thread-pool.ts'

const SELF = '/proc/thread-self/ns/net'

/** Namespace of each thread of this process, as the set of different ones. */
function namespacesOfThreads(): string[] {
  const threads = readdirSync('/proc/self/task')
  return [...new Set(threads.map(thread => readlinkSync(`/proc/self/task/${thread}/ns/net`)))]
}

function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'netns-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

before(() => warmThreadPool())

test('a visitor stands in the namespace and comes back', () => {
  using ns = openNewNetns()
  const home = readlinkSync(SELF)
  const there = inNetns(ns.path, () => readlinkSync(SELF))
  assert.equal(there, `net:[${netnsId(ns.path)?.ino}]`)
  assert.notEqual(there, home)
  assert.equal(readlinkSync(SELF), home)
})

test('visits can be nested', () => {
  using outer = openNewNetns()
  using inner = openNewNetns()
  const where = (): string => readlinkSync(SELF)
  const [deep, back] = inNetns(outer.fd, () => [inNetns(inner.path, where), where()])
  assert.deepEqual(
    [deep, back],
    [inner, outer].map(ns => `net:[${netnsId(ns.path)?.ino}]`),
  )
})

test('a visitor that throws comes back', () => {
  using ns = openNewNetns()
  const home = readlinkSync(SELF)
  assert.throws(
    () =>
      inNetns(ns.path, () => {
        throw new RangeError('oops')
      }),
    RangeError,
  )
  assert.equal(readlinkSync(SELF), home)
})

test('an asynchronous visitor is refused by type and at run time', () => {
  using ns = openNewNetns()
  // @ts-expect-error a promise is no result
  assert.throws(() => inNetns(ns.path, async () => readFile('/proc/self/stat')), TypeError)
  assert.equal(namespacesOfThreads().length, 1)
})

const noNamespaces = [
  ['a file that does not exist', '/run/netns/none', { code: 'ENOENT' }],
  ['a directory', '/proc', { code: 'NOT_A_NETNS' }],
  ['an ordinary file', '/proc/self/stat', { code: 'NOT_A_NETNS' }],
  ['a namespace of another kind', '/proc/self/ns/mnt', { code: 'NOT_A_NETNS' }],
  ['the namespace of a process that is gone', '/proc/4194305/ns/net', { code: 'ENOENT' }],
] as const
for (const [name, path, want] of noNamespaces) {
  test(`${name} is no namespace`, () => {
    assert.throws(() => inNetns(path, () => 1), want)
    assert.equal(netnsId(path), undefined)
  })
}

test('a FIFO is no namespace, and nobody waits for its writer', () => {
  using dir = temporaryDirectory()
  const path = join(dir.path, 'fifo')
  spawnSync('mkfifo', [path])
  assert.throws(() => inNetns(path, () => 1), NotANetns)
  assert.equal(netnsId(path), undefined)
})

test('a namespace has one identity, whichever file stands for it', () => {
  using dir = temporaryDirectory()
  const path = join(dir.path, 'sub', 'ns')
  createNetns(path)
  try {
    const id = netnsId(path)
    assert.ok(id)
    assert.deepEqual(
      inNetns(path, () => netnsId(SELF)),
      id,
    )
    assert.notDeepEqual(netnsId(SELF), id)
    using net = new NetlinkNet(path)
    assert.deepEqual(
      net.links().map(l => l.name),
      ['lo'],
    )
  } finally {
    deleteNetns(path)
  }
  assert.equal(netnsId(path), undefined)
  assert.equal(existsSync(path), false)
})

test('a name is given once, and deleting an absent one is fine', () => {
  using dir = temporaryDirectory()
  const path = join(dir.path, 'ns')
  createNetns(path)
  const id = netnsId(path)
  assert.throws(
    () => createNetns(path),
    (e: unknown) => e instanceof SystemError && e.code === 'EEXIST',
  )
  assert.deepEqual(netnsId(path), id)
  deleteNetns(path)
  deleteNetns(path)
})

test('what an interrupted creation left is deleted', () => {
  using dir = temporaryDirectory()
  const path = join(dir.path, 'ns')
  writeFileSync(path, '')
  deleteNetns(path)
  assert.equal(existsSync(path), false)
})

test('after 100 rounds of visits, creations and work on threads, every thread stands at home', async () => {
  using dir = temporaryDirectory()
  const home = readlinkSync(SELF)
  for (let i = 0; i < 100; i++) {
    const path = join(dir.path, `ns${i}`)
    createNetns(path)
    using unnamed = openNewNetns()
    using net = new NetlinkNet(path)
    const work = net.runBlocking([{ op: 'link-set', link: 'lo', up: true }])
    const reading = readFile('/proc/self/stat')
    inNetns(unnamed.path, () => readFileSync('/proc/net/dev', 'utf8'))
    await Promise.all([work, reading])
    deleteNetns(path)
  }
  assert.deepEqual(namespacesOfThreads(), [home])
})

test('no descriptor is left by 200 rounds', () => {
  const count = (): number => readdirSync('/proc/self/fd').length
  const start = count()
  for (let i = 0; i < 200; i++) {
    using ns = openNewNetns()
    inNetns(ns.path, () => netnsId(SELF))
    assert.throws(() =>
      inNetns(ns.path, () => {
        throw new Error('oops')
      }),
    )
    assert.throws(() => inNetns('/proc/self/ns/mnt', () => 1))
  }
  assert.equal(count(), start)
})

test('the process ends when there is no way home', () => {
  // The visitor closes the descriptor of home, which is the one opened last but for the namespace's own.
  const program = `
    import { closeSync, readdirSync, readlinkSync } from 'node:fs'
    import { openNewNetns } from '${new URL('create.ts', import.meta.url).href}'
    import { inNetns } from '${new URL('in-netns.ts', import.meta.url).href}'
    const home = readlinkSync('/proc/thread-self/ns/net')
    const ns = openNewNetns()
    inNetns(ns.fd, () => {
      for (const fd of readdirSync('/proc/self/fd').map(Number)) {
        try { if (readlinkSync('/proc/self/fd/' + fd) === home) closeSync(fd) } catch {}
      }
    })
    console.log('went on')
  `
  const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  assert.deepEqual([signal, stdout], ['SIGABRT', ''])
})
