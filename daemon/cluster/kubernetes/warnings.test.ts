/** How fast warnings become Events, and which. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { node } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { listAt, textAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { systemClock } from '../../state/clock.ts'
import { ApiError } from './api-error.ts'
import { EventRecorder } from './events.ts'
import { RESOURCES } from './resources.ts'
import { type Warning, Warnings } from './warnings.ts'

function warningOf(name: string, message: string, uid = `uid-${name}`): Warning {
  return { object: { resource: RESOURCES.pods, namespace: 'default', name, uid }, reason: 'Test', message }
}

/** Events that were written, as `name: message`. */
function recording(clock = new FakeClock()) {
  const written: string[] = []
  const client = {
    get: () => Promise.reject(new ApiError('GET', 404, '')),
    create: (_resource: unknown, _place: unknown, object: object) => {
      const { involvedObject, message } = object as { involvedObject: { name: string }; message: string }
      written.push(`${involvedObject.name}: ${message}`)
      return Promise.resolve({})
    },
    patch: () => Promise.resolve({}),
  }
  const stop = new AbortController()
  const warnings = new Warnings({ client, nodeName: 'n1', log: new FakeLog(), clock })
  const running = warnings.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  return { warnings, written, clock, [Symbol.asyncDispose]: end }
}

test('of very many warnings 25 are written at once and then one a second', async () => {
  await using all = recording()
  const { warnings, written, clock } = all
  for (let n = 0; n < 2000; n++) warnings.warn(warningOf(`p${n}`, 'text'))
  await clock.advance(0)
  for (let n = 0; n < 30; n++) await clock.advance(0)
  assert.equal(written.length, 25)
  await clock.advance(10_000)
  assert.equal(written.length, 35)
  // The others were left out.
  await clock.advance(2_000_000)
  assert.equal(written.length, 1000)
})

test('about one object 25 are written at once and then one every five minutes', async () => {
  await using all = recording()
  const { warnings, written, clock } = all
  const warn = (from: number): void => {
    for (let n = from; n < from + 40; n++) warnings.warn(warningOf('p', `text ${n}`))
  }
  warn(0)
  await clock.advance(60_000)
  assert.equal(written.length, 25)
  await clock.advance(540_000)
  warn(100)
  await clock.advance(60_000)
  assert.equal(written.length, 27)
})

test('the same is said again after half an hour', async () => {
  await using all = recording()
  const { warnings, written, clock } = all
  const say = async (): Promise<number> => {
    warnings.warn(warningOf('p', 'text'))
    await clock.advance(1000)
    return written.length
  }
  assert.deepEqual([await say(), await say()], [1, 1])
  await clock.advance(29 * 60_000)
  assert.equal(await say(), 1)
  await clock.advance(60_000)
  assert.equal(await say(), 2)
})

test('what had to wait before it was written is said again after half an hour all the same', async () => {
  await using all = recording()
  const { warnings, written, clock } = all
  for (let n = 0; n < 35; n++) warnings.warn(warningOf(`p${n}`, 'text'))
  warnings.warn(warningOf('last', 'text'))
  await clock.advance(30 * 60_000)
  warnings.warn(warningOf('last', 'text'))
  await clock.advance(1000)
  assert.equal(written.filter(line => line === 'last: text').length, 2)
})

test('an Event bears the uid of its object, which need not be known, and two nodes that say the same make one', async () => {
  await using api = await startOwnApi()
  const { json } = await api.admin.create('/api/v1/nodes', node('a'))
  await using stack = new AsyncDisposableStack()
  const warning = {
    object: { resource: RESOURCES.nodes, namespace: '', name: 'a', uid: '' },
    reason: 'Test',
    message: 'text',
  }
  const gone = { ...warning, object: { ...warning.object, name: 'gone' } }
  for (const nodeName of ['n1', 'n2']) {
    const { client, connection } = clientOf(api)
    stack.use(connection)
    const stop = new AbortController()
    const warnings = new Warnings({ client, nodeName, log: new FakeLog(), clock: systemClock })
    const running = warnings.run(stop.signal)
    stack.defer(async () => {
      stop.abort()
      await running
    })
    warnings.warn(gone)
    warnings.warn(warning)
  }
  await eventually(() => (api.server.counters().requests['patch events'] ?? 0) === 1)
  const events = listAt((await api.admin.get('/api/v1/events')).json, 'items')
  const uid = textAt(json, 'metadata', 'uid')
  assert.deepEqual(
    events.map(event => [textAt(event, 'involvedObject', 'name'), textAt(event, 'involvedObject', 'uid')]),
    [['a', uid]],
  )
})

test('an object whose name is as long as names can be has Events, too', async () => {
  await using api = await startOwnApi()
  const { client, connection } = clientOf(api)
  using _connection = connection
  const log = new FakeLog()
  const recorder = new EventRecorder({ client, component: 'causeway', instance: 'n1', log, clock: systemClock })
  const object = { resource: RESOURCES.pods, namespace: 'default', name: 'a'.repeat(253), uid: 'u' }
  await recorder.warn(object, 'Test', 'text', AbortSignal.timeout(5000))
  assert.deepEqual(log.lines, [])
  const [event] = listAt((await api.admin.get('/api/v1/namespaces/default/events')).json, 'items')
  assert.equal(event && textAt(event, 'involvedObject', 'name'), object.name)
})
