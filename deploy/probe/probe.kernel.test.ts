/** The probe against itself, in a namespace of its own with only a loopback device. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { openNewNetns, type OpenNetns } from '../../daemon/kernel/netns/create.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { inNamespace, runCommand } from '../lab/command.ts'
import { eventually } from '../../test/support/eventually.ts'

const PROBE = fileURLToPath(new URL('../../build/probe/cw-probe', import.meta.url))

let netns: OpenNetns
let path: string
const servers: ChildProcess[] = []

function start(...args: readonly string[]): ChildProcess {
  const [file = '', ...rest] = inNamespace(path, [PROBE, ...args])
  return spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
}

interface Verdict {
  readonly ok: boolean
  readonly ms: number
  readonly port?: number
  readonly error?: string
  readonly answers?: readonly string[]
}
async function probe(
  ...args: readonly string[]
): Promise<{ readonly status: number | undefined; readonly last: Verdict }> {
  const { status, stdout } = await runCommand(inNamespace(path, [PROBE, ...args]))
  return { status, last: JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Verdict }
}

before(async () => {
  await warmThreadPool()
  netns = openNewNetns()
  path = `/proc/${process.pid}/fd/${netns.fd}`
  using kernel = new LinuxKernel()
  using net = kernel.openNet(path)
  net.run([{ op: 'link-set', link: 'lo', up: true }])
  servers.push(start('serve', '7000'), start('serve', '8000', '--blocking'))
  for (const port of ['7002', '8002'])
    await eventually(async () => (await probe('check', 'tcp', '127.0.0.1', port, '1')).last.ok)
})
after(async () => {
  for (const server of servers) {
    server.kill('SIGKILL')
    await once(server, 'close')
  }
  netns[Symbol.dispose]()
})

for (const address of ['127.0.0.1', '::1'])
  for (const bytes of ['1', '1000', '64000', '1000000']) {
    for (const protocol of ['tcp', 'udp'])
      test(`${protocol} to ${address}: ${bytes} bytes come back`, async () => {
        const { status, last } = await probe('check', protocol, address, '7000', bytes)
        assert.deepEqual([status, last.ok, last.error], [0, true, undefined])
        assert.ok((last.port ?? 0) > 0)
      })
    test(`icmp to ${address}: ${bytes} bytes come back`, async () => {
      const { status, last } = await probe('check', 'icmp', address, bytes)
      assert.deepEqual([status, last.ok, last.error], [0, true, undefined])
    })
  }

const failures: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  'a port nobody listens on': [['check', 'tcp', '127.0.0.1', '9', '1'], /^connect: Connection refused$/],
  'a datagram nobody listens for': [['check', 'udp', '127.0.0.1', '9', '1'], /^datagram: Connection refused$/],
  'an address without a route': [['check', 'tcp', '192.0.2.1', '9', '1'], /^connect: Network is unreachable$/],
  'a server that only takes': [
    ['check', 'tcp', '::1', '7001', '100000', '--timeout', '200'],
    /^timed out after 100000 bytes sent and 0 of 100000 received$/,
  ],
  'a server that closes after the first bytes': [
    ['check', 'tcp', '::1', '7002', '2000000'],
    /^connection closed by the other side after \d+ bytes|^transfer: (Broken pipe|Connection reset)/,
  ],
}
for (const [what, [args, error]] of Object.entries(failures))
  test(`${what} is a failure that says so`, async () => {
    const { status, last } = await probe(...args)
    assert.deepEqual([status, last.ok], [1, false])
    assert.match(last.error ?? '', error)
  })

for (const address of ['127.0.0.1', '::1'])
  test(`who answers at ${address} says so, each once`, async () => {
    const { status, last } = await probe('check', 'who', address, '7003', '5')
    assert.deepEqual([status, last.ok, last.answers], [0, true, [address]])
  })
test('where nobody tells who answers that is a failure', async () => {
  const { status, last } = await probe('check', 'who', '127.0.0.1', '7001', '1', '--timeout', '200')
  assert.deepEqual([status, last.ok], [1, false])
  assert.match(last.error ?? '', /^answer: /)
})

test('--source decides from where', async () => {
  assert.equal((await probe('check', 'tcp', '127.0.0.9', '7000', '10', '--source', '127.0.0.3')).last.ok, true)
  const other = await probe('check', 'udp', '127.0.0.9', '7000', '10', '--source', '192.0.2.3')
  assert.equal(other.last.error, 'connect: Cannot assign requested address')
})

test('a stream reports what it sent and got back when it is told to end', async () => {
  const child = start('stream', '::1', '7000', '--interval', '2')
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await eventually(() => output.includes('"connected":true'))
  child.kill('SIGTERM')
  const [status] = (await once(child, 'close')) as [number]
  const last = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Record<string, number>
  assert.equal(status, 0)
  assert.equal(last['sent'], last['received'])
})

test('a stream whose server ends reports that', async () => {
  const server = start('serve', '9000')
  await eventually(async () => (await probe('check', 'tcp', '::1', '9002', '1')).last.ok)
  const running = probe('stream', '127.0.0.1', '9000', '--interval', '2', '--seconds', '30')
  const connections = ['ss', '-Htn', 'state', 'established', 'sport', '=', ':9000']
  await eventually(async () => (await runCommand(inNamespace(path, connections))).stdout !== '')
  server.kill('SIGKILL')
  await once(server, 'close')
  const { status, last } = await running
  assert.equal(status, 1)
  assert.match(last.error ?? '', /closed by the other side|reset|Broken pipe/)
})

test('connections are held, more of them than one process of the server may have, until standard input ends', async () => {
  const [file = '', ...args] = inNamespace(path, ['prlimit', '--nofile=32', PROBE, 'serve', '8100', '--blocking'])
  const server = spawn(file, args, { stdio: 'ignore' })
  servers.push(server)
  await eventually(async () => (await probe('check', 'tcp', '127.0.0.1', '8102', '1')).last.ok)
  const holder = spawn('nsenter', [`--net=${path}`, '--', PROBE, 'hold', '127.0.0.1', '8100', '100'])
  const [line] = (await once(holder.stdout, 'data')) as [Buffer]
  assert.deepEqual(JSON.parse(line.toString()), { opened: 100, failed: 0, error: '' })
  const held = async (): Promise<number> => {
    const list = ['ss', '-Htn', 'state', 'established', 'sport', '=', ':8102']
    return (await runCommand(inNamespace(path, list))).stdout.split('\n').length - 1
  }
  assert.equal(await held(), 100)
  // Between them others come and go as before.
  assert.equal((await probe('bench', 'crr', '127.0.0.1', '8100', '--seconds', '0.05')).status, 0)
  holder.stdin.end()
  const [status] = (await once(holder, 'close')) as [number]
  assert.equal(status, 0)
  await eventually(async () => (await held()) === 0)
})

test('hold gives up after more than so many failures, and says what it has', async () => {
  const { status, last } = await probe('hold', '127.0.0.1', '9', '5', '--failures', '2')
  assert.equal(status, 1)
  assert.deepEqual(last as unknown, { opened: 0, failed: 3, error: 'Connection refused' })
})

for (const [mode, member] of [
  ['rr', 'p50Us'],
  ['crr', 'p50Us'],
  ['udp-rr', 'p50Us'],
  ['stream', 'cpuUsPerMegabyte'],
] as const)
  test(`bench ${mode} measures`, async () => {
    for (const port of ['7000', '8000']) {
      const { status, last } = await probe('bench', mode, '127.0.0.1', port, '--seconds', '0.05')
      assert.equal(status, 0)
      assert.ok(((last as unknown as Record<string, number>)[member] ?? 0) > 0)
    }
  })
