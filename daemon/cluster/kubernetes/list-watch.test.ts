/** A list and watch against a server that answers what the test has written down. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { ApiError, ApiUnreachable } from './api-error.ts'
import type { ApiClient, Query, WatchEvent } from './client.ts'
import { ListWatch } from './list-watch.ts'
import { RESOURCES } from './resources.ts'

/** What a request is answered: events or pages in their order, an error where one stands, then its end unless it hangs. */
type Answer = readonly (WatchEvent | Error | 'hang' | { readonly page: readonly unknown[]; readonly version: string })[]

const node = (name: string, version: string): object => ({ metadata: { name, resourceVersion: version } })
const added = (name: string, version: string): WatchEvent => ({ type: 'ADDED', object: node(name, version) })
const gone = (name: string, version: string): WatchEvent => ({ type: 'DELETED', object: node(name, version) })
const bookmark = (version: string): WatchEvent => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: version } },
})
const listed = (version: string): WatchEvent => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } } },
})
const refused = (status: number, reason: string, cause?: string): ApiError =>
  new ApiError(
    'GET /api/v1/nodes',
    status,
    JSON.stringify({ kind: 'Status', reason, details: { causes: [{ reason: cause }] } }),
  )

/** Plays the answers and returns what the sink was told and the questions in short, until nothing more happens in `ms`. With
 * `connects` there is a connection at the end, which some other watch has made. */
async function played(
  answers: readonly Answer[],
  ms = 1000,
  connects = false,
): Promise<{ told: string[]; asked: string[]; watch: ListWatch }> {
  const told: string[] = []
  const asked: string[] = []
  const left = [...answers]
  async function* next<T>(signal: AbortSignal, heard: (bytes: number) => void): AsyncGenerator<T> {
    for (const item of left.shift() ?? ['hang']) {
      if (item instanceof Error) throw item
      if (item === 'hang') await once(signal, 'abort')
      signal.throwIfAborted()
      heard(1)
      if (item !== 'hang') yield ('page' in item ? { items: item.page, resourceVersion: item.version } : item) as T
    }
  }
  const connected: (() => void)[] = []
  const client: Pick<ApiClient, 'list' | 'watch' | 'onConnected'> = {
    onConnected(listener) {
      connected.push(listener)
      return () => undefined
    },
    list(_resource, query, { signal }) {
      asked.push(`list ${brief(query)}`)
      return next(signal, () => undefined)
    },
    watch(_resource, query, { signal, heard }) {
      asked.push(`watch ${brief(query)}`)
      return next(signal, heard)
    },
  }
  const name = (object: unknown): string => (object as { metadata: { name: string } }).metadata.name
  const clock = new FakeClock()
  const watch = new ListWatch({
    client,
    resource: RESOURCES.nodes,
    sink: {
      begin: () => told.push('begin'),
      put: object => told.push(`put ${name(object)}`),
      finish: () => told.push('finish'),
      change: object => told.push(`change ${name(object)}`),
      remove: object => told.push(`remove ${name(object)}`),
    },
    log: new FakeLog(),
    clock,
    random: () => 0,
    idleMs: 10_000,
  })
  const stop = new AbortController()
  const running = watch.run(stop.signal)
  await clock.advance(ms)
  if (connects) for (const listener of connected) listener()
  await clock.advance(0)
  stop.abort()
  await running
  return { told, asked, watch }
}

function brief({ sendInitialEvents, resourceVersion }: Query): string {
  return `${sendInitialEvents === true ? 'all ' : ''}from ${String(resourceVersion ?? 'now')}`
}

test('the state comes as a stream, changes after it', async () => {
  const { told, asked, watch } = await played([[added('a', '3'), added('b', '4'), listed('5'), gone('a', '6'), 'hang']])
  assert.deepEqual(told, ['begin', 'put a', 'put b', 'finish', 'remove a'])
  assert.deepEqual(asked, ['watch all from now'])
  assert.equal(watch.synced, true)
  assert.equal(watch.problem, undefined)
})

test('a watch that ends goes on from the last version, a bookmark counting as one', async () => {
  const { asked } = await played([[listed('5'), added('a', '6'), bookmark('9')]])
  assert.deepEqual(asked, ['watch all from now', 'watch from 9'])
})

test('a server without streamed lists is asked for pages', async () => {
  const answers: Answer[] = [[refused(422, 'Invalid')], [{ page: [node('a', '3')], version: '7' }]]
  const { told, asked } = await played(answers)
  assert.deepEqual(told, ['begin', 'begin', 'put a', 'finish'])
  assert.deepEqual(asked, ['watch all from now', 'list from now', 'watch from 7'])
})

test('a version that is forgotten leads to a whole state at least as new as what was seen', async () => {
  const answers: Answer[] = [[listed('5'), added('a', '6')], [refused(410, 'Expired')], [added('a', '6'), listed('8')]]
  const { told, asked } = await played(answers)
  assert.deepEqual(told, ['begin', 'finish', 'change a', 'begin', 'put a', 'finish'])
  assert.deepEqual(asked, ['watch all from now', 'watch from 6', 'watch all from 6', 'watch from 8'])
})

test('a state older than what was seen is not taken in', async () => {
  const answers: Answer[] = [[added('a', '5'), listed('5')], [refused(410, 'Expired')], [listed('4'), 'hang']]
  const { told, watch } = await played(answers, 600)
  assert.deepEqual(told.filter(line => line === 'finish').length, 1)
  assert.match(watch.problem ?? '', /version 4 came, and 5 has been seen/)
})

test('a server that has gone back for a minute is believed: its store was restored', async () => {
  const older = Array.from({ length: 30 }, (): Answer => [added('b', '3'), listed('4')])
  const { told, watch } = await played([[listed('5')], [refused(410, 'Expired')], ...older], 120_000)
  assert.equal(told.filter(line => line === 'finish').length, 2)
  assert.equal(watch.problem, undefined)
})

test('a server that has never been so far is asked for whatever it has', async () => {
  const answers: Answer[] = [
    [listed('5')],
    [refused(410, 'Expired')],
    [refused(504, 'Timeout', 'ResourceVersionTooLarge')],
    [listed('6')],
  ]
  const { asked } = await played(answers)
  assert.deepEqual(asked.slice(2, 5), ['watch all from 5', 'watch all from now', 'watch from 6'])
})

test('a watch that says nothing is opened anew from where it was', async () => {
  const { asked } = await played([[listed('5'), 'hang']], 15_000)
  assert.deepEqual(asked, ['watch all from now', 'watch from 5'])
})

test('a stream that breaks within a list leaves what is known, and says why until it is heard again', async () => {
  const broken: Answer = [added('b', '7'), new ApiUnreachable('it broke')]
  const answers: Answer[] = [[added('a', '5'), listed('5')], [refused(410, 'Expired')], broken, broken]
  const { told, watch } = await played(answers, 600)
  assert.equal(told.filter(line => line === 'finish').length, 1)
  assert.equal(watch.problem, 'it broke')
})

test('a server that asks to be left alone is', async () => {
  const busy = new ApiError('GET /api/v1/nodes', 429, 'too many requests', '5')
  const early = await played([[busy], [listed('5')]], 4900)
  assert.deepEqual(early.asked, ['watch all from now'])
  const later = await played([[busy], [listed('5')]], 5600)
  assert.equal(later.watch.synced, true)
})

test('attempts that fail come ever more slowly', async () => {
  const failures = Array.from({ length: 100 }, (): Answer => [new ApiUnreachable('no')])
  const { asked } = await played(failures, 120_000)
  assert.ok(asked.length > 8 && asked.length < 20, `${asked.length} attempts in two minutes`)
})

test('a connection that another has made ends the wait for a server that was away, and no other wait', async () => {
  const away = Array.from({ length: 8 }, (): Answer => [new ApiUnreachable('no')])
  const alone = await played([...away, [listed('5'), 'hang']], 15_000)
  assert.equal(alone.watch.synced, false)
  const told = await played([...away, [listed('5'), 'hang']], 15_000, true)
  assert.equal(told.watch.synced, true)
  const busy = new ApiError('GET /api/v1/nodes', 429, 'too many requests', '60')
  assert.equal((await played([[busy], [listed('5'), 'hang']], 15_000, true)).watch.synced, false)
})

test('a server that ends every watch at once is not asked without a pause', async () => {
  const { asked } = await played([[listed('5'), 'hang'], ...Array.from({ length: 100 }, (): Answer => [])], 60_000)
  assert.ok(asked.length > 3 && asked.length < 20, `${asked.length} questions in a minute`)
})

test('a server that forgets what it has just listed is asked ever more slowly', async () => {
  const forgetful = Array.from({ length: 100 }, (): Answer[] => [[listed('5')], [refused(410, 'Expired')]])
  const { asked } = await played(forgetful.flat(), 60_000)
  assert.ok(asked.length > 5 && asked.length < 30, `${asked.length} questions in a minute`)
})

test('a list that names no version is none', async () => {
  const nameless: Answer = [{ page: [node('a', '3')], version: '' }]
  const answers = [[refused(422, 'Invalid')], ...Array.from({ length: 100 }, () => nameless)]
  const { asked, told, watch } = await played(answers, 10_000)
  assert.ok(asked.length < 12, `${asked.length} questions in ten seconds`)
  assert.equal(told.includes('finish'), false)
  assert.match(watch.problem ?? '', /without a resourceVersion/)
})

test('a server that asks to be left alone for years is asked again within minutes', async () => {
  const busy = new ApiError('GET /api/v1/nodes', 429, 'too many requests', '99999999999')
  assert.equal((await played([[busy], [listed('5'), 'hang']], 60_000)).watch.synced, false)
  assert.equal((await played([[busy], [listed('5'), 'hang']], 600_000)).watch.synced, true)
})
