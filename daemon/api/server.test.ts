import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Logger } from '../plugin.ts'
import { BODY_LIMIT } from './body.ts'
import { ApiError, Router } from './router.ts'
import { type ApiServer, serveApi } from './server.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A server in a run directory of its own. */
async function serve(router: Router, graceMs?: number) {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-api-'))
  const server = await serveApi({ runDirectory }, router, silent, graceMs)
  const end = async (): Promise<void> => {
    await server[Symbol.asyncDispose]()
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

test('a second daemon on the same directory is refused with the first one named', async () => {
  await using at = await serve(new Router())
  const second = serveApi({ runDirectory: at.runDirectory }, new Router(), silent)
  await assert.rejects(second, { code: 'API_IN_USE', pid: process.pid })
})

test('the socket of a daemon that was killed is taken over', async () => {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-api-'))
  const program = `
    const { serveApi } = await import(${JSON.stringify(new URL('./server.ts', import.meta.url).href)})
    const { Router } = await import(${JSON.stringify(new URL('./router.ts', import.meta.url).href)})
    await serveApi({ runDirectory: ${JSON.stringify(runDirectory)} }, new Router(), console)
    console.log('up')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const inUse = serveApi({ runDirectory }, new Router(), silent)
  await assert.rejects(inUse, { code: 'API_IN_USE', pid: child.pid })
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok(statSync(join(runDirectory, 'api.sock')).isSocket())
  const server = await serveApi(
    { runDirectory },
    new Router().add('GET', '/', () => ({ json: 1 })),
    silent,
  )
  assert.equal((await call(server, 'GET', '/')).text, '1\n')
  assert.equal(readFileSync(join(runDirectory, 'api.lock'), 'utf8'), `${process.pid}\n`)
  await server[Symbol.asyncDispose]()
  rmSync(runDirectory, { recursive: true })
})

test('a failure to listen gives the lock back', async () => {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-api-'))
  const long = join(runDirectory, 'x'.repeat(120))
  await assert.rejects(serveApi({ runDirectory: long }, new Router(), silent))
  await assert.rejects(
    serveApi({ runDirectory: long }, new Router(), silent),
    e => (e as ApiError).code !== 'API_IN_USE',
  )
  writeFileSync(join(runDirectory, 'api.sock'), 'not even a socket')
  const server = await serveApi({ runDirectory }, new Router(), silent)
  await server[Symbol.asyncDispose]()
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
