/** What a client by HTTP/1.1 sees, which is how most libraries for JavaScript speak. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { after, before, test } from 'node:test'
import { configMap, node, startTestApi, type TestApi } from '../../../../test/support/api-server.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { JsonObject } from '../objects/json.ts'
import { textAt } from '../objects/json.ts'

let api: TestApi
let agent: Agent
before(async () => {
  api = await startTestApi({ bookmarkMs: 50 })
  agent = new Agent({ keepAlive: true, ca: api.server.ca })
  await api.admin.create('/api/v1/nodes', node('n1'))
})
after(async () => {
  agent.destroy()
  await api[Symbol.asyncDispose]()
})

async function ask(method: string, path: string, body?: object, type = 'application/json'): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      authorization: `Bearer ${api.server.adminToken}`,
      ...(text === '' ? {} : { 'content-type': type, 'content-length': text.length }),
    }
    const asked = request(`${api.server.url}${path}`, { method, agent, headers }, resolve)
    asked.on('error', reject)
    asked.end(text)
  })
}

async function answerTo(...args: Parameters<typeof ask>): Promise<JsonObject> {
  let text = ''
  for await (const chunk of (await ask(...args)).setEncoding('utf8')) text += chunk as string
  return JSON.parse(text) as JsonObject
}

/** The next lines of an answer. */
async function lines(answer: IncomingMessage, count: number): Promise<JsonObject[]> {
  let text = ''
  for (;;) {
    const complete = text.split('\n').slice(0, -1)
    if (complete.length >= count) return complete.slice(0, count).map(line => JSON.parse(line) as JsonObject)
    const chunk = answer.read() as Buffer | null
    if (chunk !== null) text += chunk.toString()
    else await new Promise(resolve => answer.once('readable', resolve))
  }
}

test('requests follow each other on one connection', async () => {
  const { connections } = api.server.counters()
  const maps = '/api/v1/namespaces/default/configmaps'
  await answerTo('POST', maps, configMap('one', { a: '1' }))
  await answerTo('PATCH', `${maps}/one`, { data: { b: '2' } }, 'application/merge-patch+json')
  const { data } = await answerTo('GET', `${maps}/one`)
  assert.deepEqual(data, { a: '1', b: '2' })
  assert.equal(
    textAt(await answerTo('DELETE', `${maps}/one`, { propagationPolicy: 'Background' }), 'status'),
    'Success',
  )
  assert.equal(api.server.counters().connections, connections + 1)
})

test('a watch is chunked, a line an event, and ends with its connection', async () => {
  const answer = await ask('GET', '/api/v1/nodes?watch=1&allowWatchBookmarks=true')
  assert.deepEqual([answer.statusCode, answer.headers['transfer-encoding']], [200, 'chunked'])
  const [first, second] = await lines(answer, 2)
  assert.deepEqual(
    [first?.['type'], textAt(first, 'object', 'metadata', 'name'), second?.['type']],
    ['ADDED', 'n1', 'BOOKMARK'],
  )
  answer.destroy()
  await eventually(() => api.server.counters().openWatches['nodes'] === 0)
})

test('a watch that is cut breaks off', async () => {
  const answer = await ask('GET', '/api/v1/nodes?watch=1')
  await lines(answer, 1)
  api.server.addFault({ kind: 'cut', verb: 'watch', count: 1 })
  await assert.rejects(async () => {
    for await (const _ of answer) assert.ok(_)
  }, /aborted|ECONNRESET/)
})

test('a body that is too long is refused with words, and the connection goes on', async () => {
  const maps = '/api/v1/namespaces/default/configmaps'
  const refused = await answerTo('POST', maps, configMap('long', { a: 'x'.repeat(4 * 1024 * 1024) }))
  assert.equal(textAt(refused, 'reason'), 'RequestEntityTooLarge')
  assert.equal(textAt(await answerTo('GET', '/version'), 'major'), '1')
})
