import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { createTables, type Tables } from '../../state/tables.ts'
import type { ClusterSource } from '../source.ts'
import { createDirectorySource } from './source.ts'

const node = (name: string): string => `{apiVersion: v1, kind: Node, metadata: {name: ${name}}}\n---\n`

interface Running extends AsyncDisposable {
  readonly directory: string
  readonly tables: Tables
  readonly source: ClusterSource
  readonly messages: string[]
  write(file: string, text: string): void
  /** Waits until the names of the nodes are these. */
  nodes(...names: string[]): Promise<void>
}

/** Events alone must do: the periodic scan is too far away to help, unless a test asks for it. */
function start(rescanMs = 600_000, prepare: (directory: string) => void = () => {}): Running {
  const top = mkdtempSync(join(tmpdir(), 'cw-cluster-'))
  const directory = join(top, 'cluster')
  mkdirSync(directory)
  prepare(directory)
  const tables = createTables()
  const messages: string[] = []
  const note = (_: object, message: string): void => void messages.push(message)
  const log = { debug: note, info: note, warn: note, error: note }
  const source = createDirectorySource({ directory, nodeName: 'n1', tables, log, rescanMs, settleMs: 20 })
  const stop = new AbortController()
  const running = source.run(stop.signal)
  return {
    directory,
    tables,
    source,
    messages,
    write: (file, text) => writeFileSync(join(directory, file), text),
    nodes: (...names) => until(() => assert.deepEqual([...tables.nodes.values()].map(row => row.name).sort(), names)),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      rmSync(top, { recursive: true, force: true })
    },
  }
}

/** Repeats a check until it holds. */
async function until(check: () => void, deadline = Date.now() + 10_000): Promise<void> {
  for (;;) {
    try {
      return check()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await setTimeout(5)
    }
  }
}

test('the tables have their rows before the source says that it is in sync', async () => {
  await using at = start(600_000, directory => writeFileSync(join(directory, 'a.yaml'), node('a')))
  assert.deepEqual(at.tables.nodes.pending, ['cluster/directory'])
  await until(() => assert.equal(at.tables.pods.initialized && at.tables.nodes.initialized, true))
  assert.equal(at.tables.nodes.size, 1)
})

test('files that appear, change and vanish are followed', async () => {
  await using at = start()
  await until(() => assert.equal(at.tables.nodes.initialized, true))
  at.write('a.yaml', node('a'))
  await at.nodes('a')
  at.write('a.yaml', node('a') + node('b'))
  at.write('c.json', '{"apiVersion":"v1","kind":"Node","metadata":{"name":"c"}}')
  await at.nodes('a', 'b', 'c')
  rmSync(join(at.directory, 'a.yaml'))
  await at.nodes('c')
})

test('a file replaced by rename is followed', async () => {
  await using at = start()
  at.write('a.yaml', node('a'))
  await at.nodes('a')
  at.write('.a.yaml.tmp', node('b'))
  renameSync(join(at.directory, '.a.yaml.tmp'), join(at.directory, 'a.yaml'))
  await at.nodes('b')
})

test('a file that is being written is not read half-way', async () => {
  await using at = start()
  at.write('a.yaml', node('a') + node('b'))
  await at.nodes('a', 'b')
  using seen = at.tables.nodes.follow('test')
  seen.take()
  at.write('a.yaml', '')
  at.write('a.yaml', node('a'))
  at.write('a.yaml', node('a') + node('b') + node('c'))
  await at.nodes('a', 'b', 'c')
  assert.deepEqual(
    seen.take().updated.map(row => row.name),
    ['c'],
  )
})

test('a file that is emptied first and written later keeps its rows meanwhile', async () => {
  await using at = start()
  at.write('a.yaml', node('a') + node('b'))
  await at.nodes('a', 'b')
  using seen = at.tables.nodes.follow('test')
  seen.take()
  at.write('a.yaml', '')
  await until(() => assert.match(at.source.problems()[0]?.message ?? '', /^holds no object/))
  at.write('a.yaml', node('b') + node('c'))
  await at.nodes('b', 'c')
  const { updated, deleted } = seen.take()
  assert.deepEqual(
    [updated, deleted].map(rows => rows.map(row => row.name)),
    [['c'], ['a']],
  )
  assert.deepEqual(at.source.problems(), [])
})

test('a file that got shorter and ends within a line is taken to be unfinished for a while', async () => {
  await using at = start()
  at.write('a.yaml', node('a') + node('b'))
  at.write('z.yaml', node('z'))
  await at.nodes('a', 'b', 'z')
  at.write('a.yaml', node('a').trim())
  at.write('z.yaml', node('y'))
  await at.nodes('a', 'b', 'y')
  appendFileSync(join(at.directory, 'a.yaml'), `\n${node('c')}`)
  await at.nodes('a', 'c', 'y')
  at.write('a.yaml', node('a').trim())
  await at.nodes('a', 'y')
})

test('a file that never settles is read in the end, and one from the future at once', async () => {
  await using at = start()
  const touched = setInterval(() => at.write('a.yaml', node('a')), 10)
  try {
    await at.nodes('a')
  } finally {
    clearInterval(touched)
  }
  at.write('a.yaml', node('b'))
  const later = Date.now() / 1000 + 3600
  utimesSync(join(at.directory, 'a.yaml'), later, later)
  await at.nodes('b')
})

test('hidden files, other names and directories are not looked at', async () => {
  await using at = start()
  at.write('.hidden.yaml', node('hidden'))
  at.write('a.yaml~', node('backup'))
  at.write('notes.txt', 'kind: [')
  mkdirSync(join(at.directory, 'sub.yaml'))
  at.write('z.yaml', node('z'))
  await at.nodes('z')
  assert.deepEqual(at.source.problems(), [])
})

test('files mounted the way of a ConfigMap, as links through a directory that is swapped, are followed', async () => {
  const publish = (directory: string, version: string, text: string): void => {
    mkdirSync(join(directory, `..${version}`))
    writeFileSync(join(directory, `..${version}`, 'a.yaml'), text)
    symlinkSync(`..${version}`, join(directory, '..tmp'))
    renameSync(join(directory, '..tmp'), join(directory, '..data'))
  }
  await using at = start(600_000, directory => {
    publish(directory, '1', node('a'))
    symlinkSync('..data/a.yaml', join(directory, 'a.yaml'))
  })
  await at.nodes('a')
  publish(at.directory, '2', node('b'))
  await at.nodes('b')
})

test('bad input is reported once, and its solution too', async () => {
  await using at = start()
  at.write('a.yaml', node('a'))
  await at.nodes('a')
  at.write('a.yaml', 'kind: ]\n')
  await until(() => assert.equal(at.source.problems().length, 1))
  assert.equal(at.source.problems()[0]?.place, join(at.directory, 'a.yaml:1'))
  at.write('b.yaml', node('b'))
  await at.nodes('a', 'b')
  at.write('a.yaml', node('c'))
  await at.nodes('b', 'c')
  assert.deepEqual(at.messages, ['cluster source: unusable input', 'cluster source: all problems are solved'])
})

test('kinds that are not used are noticed once each', async () => {
  await using at = start()
  at.write('a.yaml', '{apiVersion: v1, kind: Secret}\n---\n{apiVersion: v1, kind: Secret}\n')
  at.write('b.yaml', node('b'))
  await at.nodes('b')
  at.write('c.yaml', `{apiVersion: v1, kind: Secret}\n---\n${node('c')}`)
  await at.nodes('b', 'c')
  assert.deepEqual(at.messages, ['objects of this kind are not used'])
})

test('the source is not in sync while a file was never good or the directory is missing', async () => {
  await using at = start(20, directory => rmSync(directory, { recursive: true }))
  await until(() => assert.match(at.source.problems()[0]?.message ?? '', /^cannot be read: ENOENT/))
  assert.equal(at.tables.nodes.initialized, false)
  assert.equal(at.source.waitingFor(), `${at.directory}, which could never be used so far`)
  mkdirSync(at.directory)
  at.write('a.yaml', node('a') + 'kind: [')
  await at.nodes('a')
  assert.equal(at.tables.nodes.initialized, false)
  assert.equal(at.source.waitingFor(), `${join(at.directory, 'a.yaml')}, which could never be used so far`)
  at.write('a.yaml', node('a'))
  await until(() => assert.equal(at.tables.nodes.initialized, true))
  assert.equal(at.source.waitingFor(), undefined)
})

test('a file that cannot be read keeps its rows', async () => {
  await using at = start()
  at.write('a.yaml', node('a'))
  await at.nodes('a')
  rmSync(join(at.directory, 'a.yaml'))
  symlinkSync('a.yaml', join(at.directory, 'a.yaml'))
  await until(() => assert.match(at.source.problems()[0]?.message ?? '', /^cannot be read: ELOOP/))
  await at.nodes('a')
})

test('rows stay while the directory is away, and it is watched again when it is back', async () => {
  await using at = start(50)
  at.write('a.yaml', node('a'))
  await at.nodes('a')
  renameSync(at.directory, `${at.directory}.away`)
  await until(() => assert.equal(at.source.problems().length, 1))
  await at.nodes('a')
  mkdirSync(at.directory)
  at.write('b.yaml', node('b'))
  await at.nodes('b')
})

test('addresses that the cloud gave are taken from the NodeNetwork of this node alone', async () => {
  await using at = start()
  const network = (name: string, block: string): string =>
    `{apiVersion: causeway.dev/v1alpha1, kind: NodeNetwork, metadata: {name: ${name}}, spec: {cloud: {provider: aws,
      blocks: [{block: ${block}, nic: eni-1, phase: allocatable, born: 1}]}}}\n---\n`
  const blocks = (): string => [...at.tables.cloudBlocks.values()].map(row => row.block).join()
  at.write('a.yaml', `${node('n1')}${network('n1', '10.0.0.16/28')}${network('n2', '10.0.0.32/28')}`)
  await until(() => assert.equal(blocks(), '10.0.0.16/28'))
  assert.equal(at.tables.cloudBlocks.initialized, true)
  at.write('a.yaml', `${node('n1')}${network('n1', 'nonsense')}`)
  await until(() => assert.equal(at.source.problems().length, 1))
  assert.equal(blocks(), '10.0.0.16/28', 'what it said before stays')
  at.write('a.yaml', node('n1'))
  await until(() => assert.equal(blocks(), ''))
})
