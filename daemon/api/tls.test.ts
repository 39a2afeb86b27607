import assert from 'node:assert/strict'
import { copyFileSync, mkdtempDisposableSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { makeCertificates } from '../../test/support/certificates.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { Router } from './router.ts'
import { serveApi } from './server.ts'
import { readCredentials, TlsFilesWrong } from './tls.ts'

interface Answer {
  readonly status: number | undefined
  readonly body: string
  /** Common name of the certificate that the server showed. */
  readonly server: string | undefined
  /** By which the next connection may go on. */
  readonly session: Buffer | undefined
  readonly resumed: boolean
}

/** One request on a connection of its own, which trusts the authority; `as` shows a certificate. */
function get(address: string, path: string, folder: string, as?: string, session?: Buffer): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const own =
    as === undefined
      ? {}
      : { cert: readFileSync(join(folder, `${as}.crt`)), key: readFileSync(join(folder, `${as}.key`)) }
  let given: Buffer | undefined
  const options = { ca: readFileSync(join(folder, 'ca.crt')), agent: false, session, ...own }
  request(`https://${address}${path}`, options, response => {
    const socket = response.socket as TLSSocket
    const resumed = socket.isSessionReused()
    const server = socket.getPeerX509Certificate()?.subject.slice('CN='.length)
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (text: string) => (body += text))
    response.on('end', () => resolve({ status: response.statusCode, body, server, session: given, resumed }))
  })
    .on('socket', socket => socket.on('session', (ticket: Buffer) => (given = ticket)))
    .on('error', reject)
    .end()
  return promise
}

const router = (): Router =>
  new Router()
    .add('GET', '/metrics', () => ({ text: 'up 1\n', type: 'text/plain' }))
    .add('GET', '/v1/health', () => ({ status: 503, json: { ready: false } }))
    .add('GET', '/v1/alive', () => ({ json: { alive: true } }))

/** Serves with `server` and, if wanted, the authority for clients; all of it goes with the test. */
async function serve(t: TestContext, { clients = false }: { readonly clients?: boolean } = {}) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-tls-'))
  t.after(() => folder.remove())
  const file = (name: string): string => join(folder.path, name)
  makeCertificates(folder.path)
  const use = (name: string): void => {
    copyFileSync(file(`${name}.crt`), file('tls.crt'))
    copyFileSync(file(`${name}.key`), file('tls.key'))
  }
  use('server')
  const tls = {
    certFile: file('tls.crt'),
    keyFile: file('tls.key'),
    clientCaFile: clients ? file('ca.crt') : undefined,
  }
  const log = new FakeLog()
  const server = await serveApi({ host: '127.0.0.1', port: 0, tls }, router(), log)
  t.after(() => server[Symbol.asyncDispose]())
  const ask = (path: string, as?: string) => get(server.address, path, folder.path, as)
  return { folder: folder.path, tls, use, log, ask, address: server.address }
}

test('metrics are served with the certificate of the files', async t => {
  const { ask } = await serve(t)
  const { status, body, server } = await ask('/metrics')
  assert.deepEqual([status, body, server], [200, 'up 1\n', 'server'])
})

test('with an authority for clients, metrics are for who shows a certificate of it, health and life for all', async t => {
  const { ask } = await serve(t, { clients: true })
  const statuses: unknown[] = []
  for (const as of ['client', 'stranger', undefined])
    for (const path of ['/metrics', '/v1/health', '/v1/alive', '/v1/status'])
      statuses.push(`${as} ${path} ${(await ask(path, as)).status}`)
  assert.deepEqual(statuses, [
    'client /metrics 200',
    'client /v1/health 503',
    'client /v1/alive 200',
    'client /v1/status 404',
    'stranger /metrics 403',
    'stranger /v1/health 503',
    'stranger /v1/alive 200',
    'stranger /v1/status 403',
    'undefined /metrics 403',
    'undefined /v1/health 503',
    'undefined /v1/alive 200',
    'undefined /v1/status 403',
  ])
  assert.match((await ask('/metrics')).body, /"code":"NO_CLIENT_CERTIFICATE"/)
})

test('who resumes a session is let in by the certificate of it, and by none when there was none', async t => {
  const { folder, address } = await serve(t, { clients: true })
  for (const [as, status] of [
    ['client', 200],
    ['stranger', 403],
    [undefined, 403],
  ] as const) {
    const first = await get(address, '/metrics', folder, as)
    assert.ok(first.session, 'the server gave no session')
    const second = await get(address, '/metrics', folder, as, first.session)
    assert.deepEqual([as, first.status, second.resumed, second.status], [as, status, true, status])
  }
})

test('renewed files are taken over; wrong ones are told once, and those before go on', async t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { use, ask, tls, folder, log } = await serve(t)
  const look = (): void => t.mock.timers.tick(10_000)
  look()
  assert.equal((await ask('/metrics')).server, 'server')
  copyFileSync(join(folder, 'renewed.crt'), tls.certFile)
  look()
  look()
  assert.equal((await ask('/metrics')).server, 'server')
  use('renewed')
  look()
  assert.equal((await ask('/metrics')).server, 'renewed')
  rmSync(tls.keyFile)
  look()
  assert.equal((await ask('/metrics')).server, 'renewed')
  assert.deepEqual(
    log.lines.map(line => line.replace(/ \w+=.*/, '')),
    [
      'warn a renewed certificate is wrong; the one before goes on',
      'info a renewed certificate is in use',
      'warn a renewed certificate is wrong; the one before goes on',
    ],
  )
})

test('who speaks plain HTTP is not answered, and the server goes on', async t => {
  const { ask, address } = await serve(t)
  await assert.rejects(fetch(`http://${address}/v1/alive`))
  assert.equal((await ask('/v1/alive')).body, '{"alive":true}\n')
})

const wrong: readonly (readonly [what: string, spoil: (folder: string) => void])[] = [
  ['a missing certificate', folder => rmSync(join(folder, 'server.crt'))],
  ['a file that is no PEM', folder => writeFileSync(join(folder, 'server.crt'), 'x')],
  ['an authority that is no PEM', folder => writeFileSync(join(folder, 'ca.crt'), 'x')],
  ['the key of another', folder => copyFileSync(join(folder, 'client.key'), join(folder, 'server.key'))],
]
for (const [what, spoil] of wrong)
  test(`a listener does not start with ${what}`, async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-tls-'))
    makeCertificates(folder.path)
    spoil(folder.path)
    const tls = {
      certFile: join(folder.path, 'server.crt'),
      keyFile: join(folder.path, 'server.key'),
      clientCaFile: join(folder.path, 'ca.crt'),
    }
    assert.throws(() => readCredentials(tls), { code: 'TLS_FILES' })
    await assert.rejects(serveApi({ host: '127.0.0.1', port: 0, tls }, router(), new FakeLog()), TlsFilesWrong)
  })
