/** Daemons that do not answer hold nobody up. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { follow, get } from './api.ts'

suite('a request', () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-api-'))
  const socket = join(folder, 'api.sock')
  const { signal } = new AbortController()
  let server: Server
  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/lines') response.write('{"a":1}\n')
      else if (request.url === '/head') response.flushHeaders()
      else if (request.url === '/answer') response.writeHead(503).end('{"ready":false}')
    })
    await new Promise<void>(done => server.listen(socket, done))
  })
  after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })

  test('that is answered resolves to status and body', async () => {
    assert.deepEqual(await get(socket, '/answer', signal), { status: 503, body: { ready: false } })
  })

  for (const path of ['/nothing', '/head'])
    test(`whose answer does not come to its end rejects in time: ${path}`, async () => {
      await assert.rejects(get(socket, path, signal, 50), { name: 'AbortError' })
    })

  test('for lines whose answer does not begin rejects in time', async () => {
    await assert.rejects(
      follow(socket, '/nothing', signal, () => {}, 50),
      /no answer within 50 ms/,
    )
  })

  test('for lines goes on after the answer has begun', async () => {
    const stop = new AbortController()
    const line = await new Promise(resolve => {
      void follow(socket, '/lines', stop.signal, resolve, 5000)
    })
    stop.abort()
    assert.deepEqual(line, { a: 1 })
  })

  test('to nobody rejects', async () => {
    await assert.rejects(get(join(folder, 'none'), '/answer', signal), { code: 'ENOENT' })
  })
})
