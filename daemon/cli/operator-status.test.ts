/** `causeway operator status` against servers as the operator has them. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { makeCertificates } from '../../test/support/certificates.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { noPrograms } from '../../test/support/no-programs.ts'
import { Router } from '../api/router.ts'
import { serveApi } from '../api/server.ts'
import type { TlsFiles } from '../api/tls.ts'
import type { OperatorStatus } from '../operator/status.ts'
import { runCli } from './cli.ts'
import { commands } from './commands.ts'

const leader: OperatorStatus = {
  build: { version: '0.1.0', node: 'v24' },
  identity: 'node1_1',
  leading: true,
  leader: 'node1_1',
  nodes: [
    { name: 'a', podCidrs: ['10.0.0.0/24', 'fd00::/64'], pool: 'p', ready: true, tainted: false },
    { name: 'b', podCidrs: [], pool: '', ready: false, tainted: true },
  ],
  gone: [{ name: 'c', podCidrs: ['10.0.2.0/24'] }],
  pools: [
    { name: 'p', nodes: 1, free: 254 },
    { name: 'q', nodes: 0, free: 256, conflict: '10.0.0.0/16 overlaps 10.0.0.0/8 of pool p' },
  ],
  problems: [{ place: 'IPPool q', message: '10.0.0.0/16 overlaps 10.0.0.0/8 of pool p; the pool is not used' }],
}

async function serve(t: TestContext, status: OperatorStatus, tls?: TlsFiles): Promise<string> {
  const router = new Router().add('GET', '/v1/status', () => ({ json: status }))
  const server = await serveApi({ host: '127.0.0.1', port: 0, tls }, router, new FakeLog())
  t.after(() => server[Symbol.asyncDispose]())
  return server.address
}

async function run(...args: readonly string[]) {
  let [out, err] = ['', '']
  const terminal = { env: {}, isTty: false, signal: new AbortController().signal, programs: noPrograms }
  const status = await runCli(
    {
      ...terminal,
      args: ['operator', 'status', ...args],
      out: text => void (out += text),
      err: text => void (err += text),
    },
    commands,
  )
  return { status, out, err }
}

test('the one that leads tells of pools, nodes that are not ready and problems', async t => {
  const address = await serve(t, leader)
  assert.deepEqual(await run('--set', `operator.listen=${address}`), {
    status: 0,
    err: '',
    out: `operator     node1_1, leads
version      0.1.0 on Node v24
nodes        1 of 2 ready
gone lately  c (10.0.2.0/24)

POOL  NODES  RANGES LEFT  NOT USED BECAUSE
p     1      254
q     0      256          10.0.0.0/16 overlaps 10.0.0.0/8 of pool p

NODE  READY  TAINTED  POD RANGES  POOL
b     no     yes

1 problem
  IPPool q: 10.0.0.0/16 overlaps 10.0.0.0/8 of pool p; the pool is not used
`,
  })
})

test('all nodes are listed when they are wanted, and JSON has everything', async t => {
  const address = await serve(t, leader)
  assert.match(
    (await run('--address', address, '--nodes')).out,
    /^a {5}yes {4}no {7}10\.0\.0\.0\/24, fd00::\/64 {2}p$/m,
  )
  assert.deepEqual(JSON.parse((await run('--address', address, '-o', 'json')).out), leader)
})

test('one that does not lead names the one that does', async t => {
  const other = { ...leader, identity: 'node2_1', leading: false, nodes: [], gone: [], pools: [], problems: [] }
  const address = await serve(t, other)
  assert.equal(
    (await run('--address', address)).out,
    'operator  node2_1, does not lead\nleader    node1_1\nversion   0.1.0 on Node v24\n\nno problems\n',
  )
})

test('by TLS the operator must show the certificate of the files, and is shown it', async t => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-status-'))
  makeCertificates(folder.path)
  const file = (name: string): string => join(folder.path, name)
  const filesOf = (name: string): TlsFiles => ({
    certFile: file(`${name}.crt`),
    keyFile: file(`${name}.key`),
    clientCaFile: file('ca.crt'),
  })
  const address = await serve(t, leader, filesOf('server'))
  const ask = (name: string) =>
    run(
      '--address',
      address,
      ...Object.entries(filesOf(name)).flatMap(([key, path]) => ['--set', `metrics.tls.${key}=${path}`]),
    )
  assert.match((await ask('server')).out, /node1_1, leads/)
  const stranger = await ask('stranger')
  assert.equal(stranger.status, 3)
  assert.match(stranger.err, /no operator answers at 127\.0\.0\.1:\d+: .*certificate/)
})

const refused: readonly (readonly [what: string, args: readonly string[], status: number, says: RegExp])[] = [
  [
    'an operator that does not listen',
    [],
    1,
    /operator\.listen: off, so that nobody can be asked; ask where one runs \(kubectl/,
  ],
  ['an address that is none', ['--address', 'there'], 2, /--address there: HOST:PORT is wanted/],
  [
    'nobody at the address',
    ['--address', '127.0.0.1:1'],
    3,
    /no operator answers at 127\.0\.0\.1:1: nobody listens there; ask/,
  ],
  [
    'a certificate that is not there',
    ['--address', '127.0.0.1:1', '--set', 'metrics.tls.certFile=/none', '--set', 'metrics.tls.keyFile=/none'],
    1,
    /metrics\.tls\.certFile.*ENOENT/s,
  ],
]
for (const [what, args, status, says] of refused)
  test(`${what} is said with the way out`, async () => {
    const result = await run(...args)
    assert.deepEqual([result.status, says.test(result.err)], [status, true], result.err)
  })
