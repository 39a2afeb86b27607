import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Logger } from '../plugin.ts'
import { BODY_LIMIT } from './body.ts'
import { cniErrorAnswer } from './cni.ts'
import { ApiError, Router } from './router.ts'
import { type ApiServer, serveApi } from './server.ts'
import { claimSocket } from './socket.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A server in a run directory of its own. */
async function serve(router: Router, graceMs?: number) {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-api-'))
  const claim = claimSocket(runDirectory)
  const server = await serveApi(claim, router, silent, graceMs)
  const end = async (): Promise<void> => {
    await server[Symbol.asyncDispose]()
    claim[Symbol.dispose]()
    rmSync(runDirectory, { recursive: true, force: true })
  }
  return { runDirectory, server, [Symbol.asyncDispose]: end }
}

async function call(server: ApiServer, method: string, path: string, body?: string) {
  const outgoing = request({ socketPath: server.address, method, path })
  const answered = once(outgoing, 'response')
  outgoing.on('error', () => undefined)
  outgoing.end(body)
  const [response] = (await answered) as [import('node:http').IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode, type: response.headers['content-type'], text }
}

test('a handler gets parts of the path, query and JSON body, and its JSON is the answer', async () => {
  const router = new Router().add('POST', '/v1/cni/:verb', r => ({
    status: 201,
    json: { params: r.params, query: r.query.get('q'), body: r.body },
  }))
  await using at = await serve(router)
  const answer = await call(at.server, 'POST', '/v1/cni/a%2Fb?q=1', '{"x": [1]}')
  assert.deepEqual(answer, {
    status: 201,
    type: 'application/json',
    text: '{"params":{"verb":"a/b"},"query":"1","body":{"x":[1]}}\n',
  })
})

const refusals: readonly (readonly [
  what: string,
  method: string,
  path: string,
  body: string,
  status: number,
  code: string,
])[] = [
  ['an unknown path', 'GET', '/nothing', '', 404, 'NOT_FOUND'],
  ['a wrong method', 'GET', '/v1/echo', '', 405, 'METHOD_NOT_ALLOWED'],
  ['a body that is no JSON', 'POST', '/v1/echo', '{', 400, 'BAD_JSON'],
  ['a body over the limit', 'POST', '/v1/echo', ' '.repeat(BODY_LIMIT + 1), 413, 'BODY_TOO_LARGE'],
  ['an error of the API', 'GET', '/v1/teapot', '', 418, 'TEAPOT'],
  ['any other error', 'GET', '/v1/broken', '', 500, 'INTERNAL'],
  ['a path with broken encoding', 'GET', '/v1/tables/%zz', '', 400, 'BAD_PATH'],
]
for (const [what, method, path, body, status, code] of refusals) {
  test(`${what} is answered with ${status} and ${code}`, async () => {
    const router = new Router()
      .add('POST', '/v1/echo', r => ({ json: r.body }))
      .add('GET', '/v1/tables/:name', () => ({ json: [] }))
      .add('GET', '/v1/teapot', () => {
        throw new ApiError(418, 'TEAPOT', 'short and stout')
      })
      .add('GET', '/v1/broken', () => Promise.reject(new Error('oh')))
    await using at = await serve(router)
    const answer = await call(at.server, method, path, body)
    assert.equal(answer.status, status)
    assert.equal((JSON.parse(answer.text) as { error: { code: string } }).error.code, code)
  })
}

test('lines are written as they come and end with the source', async () => {
  async function* lines() {
    yield { a: 1 }
    yield { a: 2 }
  }
  await using at = await serve(new Router().add('GET', '/v1/flows', () => ({ lines: lines() })))
  const answer = await call(at.server, 'GET', '/v1/flows')
  assert.deepEqual(answer, { status: 200, type: 'application/x-ndjson', text: '{"a":1}\n{"a":2}\n' })
})

test('a follower gets each line at once, and many lines in order', async () => {
  const more = Promise.withResolvers<void>()
  async function* lines() {
    yield 'first'
    await more.promise
    for (let i = 0; i < 20_000; i++) yield i
  }
  await using at = await serve(new Router().add('GET', '/v1/flows', () => ({ lines: lines() })))
  const outgoing = request({ socketPath: at.server.address, path: '/v1/flows' }).end()
  const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage]
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text === '"first"\n') more.resolve()
  }
  assert.equal(text, `"first"\n${Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join('')}`)
})

test('while a follower does not read, lines are left with their source', async () => {
  let taken = 0
  async function* lines() {
    for (; taken < 20_000; taken++) {
      yield 'x'.repeat(500)
      // Each in a turn of its own, as records of flows come.
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await using at = await serve(new Router().add('GET', '/v1/flows', () => ({ lines: lines() })))
  const outgoing = request({ socketPath: at.server.address, path: '/v1/flows' }).end()
  const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage]
  for (let before = -1, still = 0; still < 100; before = taken) {
    await new Promise(resolve => setImmediate(resolve))
    still = before === taken ? still + 1 : 0
  }
  assert.ok(taken < 5_000, `${taken} lines were taken for nobody`)
  let length = 0
  for await (const chunk of response) length += (chunk as Buffer).length
  assert.equal(length, 20_000 * 503)
})

test('a handler learns that its caller hung up', async () => {
  const aborted = Promise.withResolvers<unknown>()
  const entered = Promise.withResolvers<void>()
  const router = new Router().add('GET', '/wait', async ({ signal }) => {
    signal.addEventListener('abort', () => aborted.resolve((signal.reason as ApiError).code))
    entered.resolve()
    await aborted.promise
    return { json: {} }
  })
  await using at = await serve(router)
  const waiting = request({ socketPath: at.server.address, path: '/wait' })
  waiting.on('error', () => undefined)
  waiting.end()
  await entered.promise
  waiting.destroy()
  assert.equal(await aborted.promise, 'HANG_UP')
})

test('stopping aborts running requests, which are still answered', async () => {
  const entered = Promise.withResolvers<void>()
  const router = new Router().add('GET', '/wait', async ({ signal }) => {
    entered.resolve()
    await once(signal, 'abort')
    signal.throwIfAborted()
    return { json: {} }
  })
  const at = await serve(router)
  const answered = call(at.server, 'GET', '/wait')
  await entered.promise
  await at[Symbol.asyncDispose]()
  assert.equal((await answered).status, 503)
})

test('a request that a stopping daemon did not serve is told so by the end of its connection', async () => {
  const entered = Promise.withResolvers<void>()
  const router = new Router().add('POST', '/v1/cni/add', async ({ signal }) => {
    entered.resolve()
    await once(signal, 'abort')
    return cniErrorAnswer(signal.reason)
  })
  const at = await serve(router)
  const failed = assert.rejects(call(at.server, 'POST', '/v1/cni/add'), { code: 'ECONNRESET' })
  await entered.promise
  await at[Symbol.asyncDispose]()
  await failed
})

const cniRefusals: readonly (readonly [what: string, path: string, body: string, code: number])[] = [
  ['a body that is no JSON', '/v1/cni/add', '{', 7],
  ['a body over the limit', '/v1/cni/add', ' '.repeat(BODY_LIMIT + 1), 5],
  ['a verb that is not there', '/v1/cni/sub', '', 124],
]
for (const [what, path, body, code] of cniRefusals) {
  test(`${what} is told to the CNI executable as a CNI error`, async () => {
    await using at = await serve(new Router().add('POST', '/v1/cni/add', r => ({ json: r.body })))
    const answer = JSON.parse((await call(at.server, 'POST', path, body)).text) as object
    assert.deepEqual(Object.keys(answer), ['code', 'msg', 'details'])
    assert.equal((answer as { code: number }).code, code)
  })
}

test('stopping does not wait for ever for a handler that ignores its signal', async () => {
  const entered = Promise.withResolvers<void>()
  const router = new Router().add('GET', '/stuck', () => {
    entered.resolve()
    return new Promise<never>(() => {})
  })
  const at = await serve(router, 20)
  const failed = assert.rejects(call(at.server, 'GET', '/stuck'))
  await entered.promise
  await at[Symbol.asyncDispose]()
  await failed
})

test('the socket is for its owner only and vanishes with the server', async () => {
  const at = await serve(new Router())
  assert.equal(statSync(at.server.address).mode & 0o777, 0o600)
  await at.server[Symbol.asyncDispose]()
  assert.throws(() => statSync(at.server.address), { code: 'ENOENT' })
  rmSync(at.runDirectory, { recursive: true })
})

test('a socket that cannot be bound is refused', async () => {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-api-'))
  using claim = claimSocket(join(runDirectory, 'x'.repeat(120)))
  await assert.rejects(serveApi(claim, new Router(), silent))
  rmSync(runDirectory, { recursive: true })
})

test('a TCP listener says where it listens', async () => {
  const router = new Router().add('GET', '/metrics', () => ({ text: 'up 1\n', type: 'text/plain' }))
  const server = await serveApi({ host: '127.0.0.1', port: 0 }, router, silent)
  const answer = await fetch(`http://${server.address}/metrics`)
  assert.equal(await answer.text(), 'up 1\n')
  await server[Symbol.asyncDispose]()
})

test('a route added twice is a mistake', () => {
  const router = new Router().add('GET', '/a', () => ({ json: 1 }))
  assert.throws(() => router.add('GET', '/a', () => ({ json: 2 })), RangeError)
})
