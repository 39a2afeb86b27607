import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addCommandRoutes } from '../api/plugin-commands.ts'
import { addRoutes } from '../api/routes.ts'
import { Router } from '../api/router.ts'
import { serveApi } from '../api/server.ts'
import { claimSocket } from '../api/socket.ts'
import type { Status } from '../api/status.ts'
import { ConfigError } from '../errors.ts'
import type { FlowLine, FlowQuery } from '../flow/flows.ts'
import type { FlowRecord } from '../flow/record.ts'
import { buildInfo } from '../observe/build.ts'
import { Health } from '../observe/health.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Command, Plugin } from '../plugin.ts'
import { OWN_COMMANDS } from '../slots.ts'
import { createTables } from '../state/tables.ts'
import { runCli, type Terminal } from './cli.ts'
import { commands } from './commands.ts'
import { noPrograms } from '../../test/support/no-programs.ts'
import type { Programs } from './programs.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const plugin: Plugin = {
  name: 'cluster-pool',
  configure(raw) {
    if ((raw as { pools?: unknown }).pools === undefined) throw new ConfigError('cluster-pool.pools', 'is missing')
    return () => ({})
  },
}
const programs: Programs = {
  ...noPrograms,
  plugins: () => Promise.resolve([plugin]),
  runDaemon: async load => {
    const { config, explain } = await load([])
    throw explain(new ConfigError('mtu', `${config.mtu} does not fit the uplinks`))
  },
  checkPlugins: async config => void plugin.configure(config.sections['cluster-pool']),
  preflight: () => Promise.resolve([]),
  install: () => Promise.resolve(true),
  uninstall: ({ paths }, { force, say }) => Promise.resolve(say(`${paths.run} ${force}`)),
}

interface Result {
  readonly status: number
  readonly out: string
  readonly err: string
}
async function run(args: readonly string[], terminal: Partial<Terminal> = {}): Promise<Result> {
  let out = ''
  let err = ''
  const status = await runCli(
    {
      args,
      env: {},
      isTty: false,
      signal: new AbortController().signal,
      programs,
      out: text => void (out += text),
      err: text => void (err += text),
      ...terminal,
    },
    commands,
  )
  return { status, out, err }
}

const record: FlowRecord = {
  time: '2026-01-02T03:04:05.000006Z',
  verdict: 'forwarded',
  moment: 'end',
  flow: { packets: 5, bytes: 1500, replyPackets: 4, replyBytes: 2_500_000 },
  hook: 'pod_out',
  source: { address: '10.1.0.2', port: 40_000, pod: 'default/web' },
  destination: { address: 'fd00::9', port: 80, node: 'node-b' },
  protocol: 'TCP',
  tcpFlags: ['FIN', 'ACK'],
  reply: false,
  length: 66,
  interface: { index: 7, name: 'cw0123', pod: 'default/web' },
}
const drop: FlowRecord = {
  ...record,
  verdict: 'dropped',
  reason: { name: 'spoofed_mac', text: 'Not its MAC.', whatToDo: 'Keep it.' },
  source: {},
  destination: { address: '10.1.0.9' },
  protocol: 'ICMP',
  icmp: { type: 8, code: 0 },
  interface: { index: 9, name: 'cw89ab', pod: 'default/db' },
}

const leases: Command = {
  name: 'leases',
  summary: 'Show leases.',
  async run(args, out) {
    if (args.includes('--broken')) throw new Error('the cloud is gone')
    out.write(`leases ${args.join(' ')}\n`)
    return 4
  },
}

/** A daemon that is nothing but its API. */
async function daemon(flows: readonly FlowLine[] = []) {
  const runDirectory = mkdtempSync(join(tmpdir(), 'cw-cli-'))
  const tables = createTables()
  const health = new Health()
  const queries: FlowQuery[] = []
  const status = (): Status => ({
    node: 'node-a',
    build: { version: '1.2.3', node: '24.0.0' },
    kernel: '6.18.0',
    startedMs: Date.now() - 90_061_000,
    ...health.report(),
    datapath: { uplinks: 'eth0 (tcx)', routing: 'native' },
    pools: [
      { pool: 'default', family: 4, ranges: ['10.1.0.0/24'], total: 254, used: 2, cooling: 1, excluded: 0, free: 251 },
    ],
    sources: [{ name: 'directory', synced: true }],
    plugins: [{ name: 'cluster-pool', parts: ['ipam'] }],
    tables: [{ name: 'nodes', rows: 1, revision: 1, pending: [] }],
    problems: [{ place: '/x/a.yaml:3', message: 'metadata.name: is missing' }],
  })
  async function* read(query: FlowQuery): AsyncGenerator<FlowLine> {
    queries.push(query)
    yield* flows
  }
  const router = addRoutes(new Router(), {
    health,
    tables,
    status,
    metrics: createMetrics({ version: '1.2.3', node: '24.0.0' }),
    flows: () => ({ read }),
  })
  addCommandRoutes(router, new Map([['leases', { plugin: 'mine', part: leases }]]))
  const claim = claimSocket(runDirectory)
  const server = await serveApi(claim, router, silent)
  return {
    runDirectory,
    tables,
    health,
    queries,
    ask: (...args: string[]) => run([...args, '--socket', server.address]),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      claim[Symbol.dispose]()
      rmSync(runDirectory, { recursive: true })
    },
  }
}

test('status shows everything on one screen', async () => {
  await using at = await daemon()
  at.health.condition('pods of before')
  const { out, status } = await at.ask('status')
  assert.equal(status, 0)
  assert.equal(
    out,
    `node         node-a, not ready, waiting for pods of before
version      1.2.3 on Node 24.0.0, Linux 6.18.0
running for  1 d 1 h
uplinks      eth0 (tcx)
routing      native
sources      directory (in sync)
plugins      cluster-pool (ipam)
tables       nodes 1

POOL     FAMILY  RANGES       TOTAL  USED  COOLING  EXCLUDED  FREE
default  ipv4    10.1.0.0/24  254    2     1        0         251

1 problem
  /x/a.yaml:3: metadata.name: is missing
`,
  )
})

test('a table is dumped as the scenario tests compare it', async () => {
  await using at = await daemon()
  at.tables.nodes.put({ name: 'a', addresses: ['192.0.2.1'], podCidrs: [], labels: {} })
  const row = '  {"addresses":["192.0.2.1"],"labels":{},"name":"a","podCidrs":[]}'
  assert.equal((await at.ask('status', '--table', 'nodes')).out, `[\n${row}\n]\n`)
  assert.equal(
    (await at.ask('status', '--table', 'nodes', '-o', 'yaml')).out,
    '- addresses:\n    - 192.0.2.1\n  labels: {}\n  name: a\n  podCidrs: []\n',
  )
  const unknown = await at.ask('status', '--table', 'node')
  assert.equal(unknown.status, 1)
  assert.match(unknown.err, /^causeway: there is no table node; there are nodes, pods/)
})

test('health says what the daemon waits for, and its exit status whether it does', async () => {
  await using at = await daemon()
  const condition = at.health.condition('datapath', 'loading')
  assert.deepEqual(await at.ask('health'), { status: 1, out: 'not ready\n  datapath: loading\n', err: '' })
  condition.pass()
  assert.deepEqual(await at.ask('health'), { status: 0, out: 'ready\n', err: '' })
  assert.equal((await at.ask('health', '-o', 'json')).out, '{\n  "ready": true,\n  "waiting": []\n}\n')
})

test('lists are tables for people', async () => {
  await using at = await daemon()
  at.tables.nodes.put({ name: 'node-b', addresses: ['192.0.2.2'], podCidrs: ['10.1.1.0/24'], labels: {} })
  at.tables.ipcache.put({
    prefix: '10.1.1.0/24',
    node: 'node-b',
    path: { kind: 'overlay', tunnel: '192.0.2.2' },
    why: 'other link',
  })
  at.tables.endpoints.put({
    key: 'causeway/c1/eth0',
    id: 3,
    pod: { namespace: 'default', name: 'web', uid: '' },
    addresses: ['10.1.0.2', 'fd00::2'],
    pool: 'default',
    device: { name: 'cw0123', index: 7, mac: '' },
    interface: { name: 'eth0', mac: '', mtu: 1450 },
    netns: { dev: 1, ino: 2, path: '' },
  })
  assert.equal(
    (await at.ask('endpoints')).out,
    `POD          ADDRESSES          INTERFACE  DEVICE  MTU   POOL     ID
default/web  10.1.0.2, fd00::2  eth0       cw0123  1450  default  3
`,
  )
  assert.equal(
    (await at.ask('nodes')).out,
    `NAME    ADDRESSES  POD RANGES   PATHS                 WHY
node-b  192.0.2.2  10.1.1.0/24  overlay to 192.0.2.2  other link
`,
  )
  assert.match((await at.ask('pools')).out, /^POOL .*\ndefault  ipv4/)
  assert.match((await at.ask('tables')).out, /^NAME .*\nnodes +1 +1\n/)
  assert.match((await at.ask('metrics')).out, /causeway_build_info/)
  assert.equal((await at.ask('version')).out, `command ${buildInfo().version}\ndaemon  1.2.3\n`)
})

test('flows are lines; what to do about a drop is said once', async () => {
  await using at = await daemon([record, drop, { lost: 3 }, drop])
  const dropLine =
    '2026-01-02T03:04:05.000006Z  - → 10.1.0.9  ICMP type 8 code 0 FIN,ACK  pod_out at cw89ab of default/db  dropped: spoofed_mac\n'
  assert.equal(
    (await at.ask('flows')).out,
    '2026-01-02T03:04:05.000006Z  default/web (10.1.0.2:40000) → node node-b ([fd00::9]:80)  TCP FIN,ACK  ' +
      'pod_out at cw0123  ended after 5 packets, 1.5 kB there and 4, 2.5 MB back\n' +
      `${dropLine}    Not its MAC.\n    Keep it.\nlost 3 events: too slow a reader\n${dropLine}`,
  )
  assert.equal((await at.ask('flows', '-o', 'json')).out.split('\n').length, 5)
})

test('options of flows become the query', async () => {
  await using at = await daemon()
  await at.ask('flows', '-f', '--last', '7', '--pod', 'a/b', '--pod', 'c/d', '--verdict', 'dropped')
  const [query] = at.queries
  assert.deepEqual([query?.follow, query?.last], [true, 7])
  assert.equal(query?.filter({ ...drop, source: { pod: 'c/d' } }), true)
  assert.equal(query?.filter({ ...drop, source: { pod: 'e/f' } }), false)
  const bad = await at.ask('flows', '--ip', 'x')
  assert.deepEqual([bad.status, bad.err], [1, 'causeway: ip=x is no filter; allowed: an IPv4 or IPv6 address\n'])
})

test('the socket is found by flag, variable or configuration', async () => {
  await using at = await daemon()
  const config = join(at.runDirectory, 'config.yaml')
  writeFileSync(config, `paths: {run: ${at.runDirectory}}\nsomething-unknown: 1\n`)
  assert.equal((await run(['health', '--config', config])).out, 'ready\n')
  const env = { CAUSEWAY_SOCKET: join(at.runDirectory, 'api.sock') }
  assert.equal((await run(['health'], { env })).out, 'ready\n')
  assert.equal((await run(['health'], { env: { CAUSEWAY_PATHS__RUN: at.runDirectory } })).out, 'ready\n')
})

test('colours are for terminals whose user wants them', async () => {
  await using at = await daemon([drop])
  const ask = (isTty: boolean, env = {}) =>
    run(['flows', '--socket', join(at.runDirectory, 'api.sock')], { isTty, env })
  assert.ok((await ask(true)).out.includes('\u001b[31mdropped'))
  assert.ok(!(await ask(false)).out.includes('\u001b'))
  assert.ok(!(await ask(true, { NO_COLOR: '1' })).out.includes('\u001b'))
})

const wrong: readonly (readonly [line: string, status: number, message: RegExp])[] = [
  [
    'status --socket /nonexistent/api.sock',
    3,
    /no daemon answers at \/nonexistent\/api.sock: there is no such socket; start it with `causeway daemon`/,
  ],
  ['stats', 2, /there is no command stats; did you mean status\?\nTry causeway --help/],
  ['config', 2, /config what\? There are print, check, docs/],
  ['config prin', 2, /config prin: there are print, check, docs/],
  ['status --tabel nodes', 2, /status has no option --tabel; did you mean --table\?\nTry causeway status --help/],
  ['status nodes', 2, /status takes no operand nodes/],
  ['status --table', 2, /argument missing/],
  ['flows --verdict lost', 2, /--verdict lost is not allowed; allowed: dropped, forwarded/],
  ['flows --last many', 2, /--last many is no number/],
  ['completion', 2, /completion needs bash, zsh, fish/],
  ['completion ksh', 2, /completion ksh is not allowed; allowed: bash, zsh, fish/],
  ['--socket /x', 2, /no command was named/],
  ['daemon --set mtu=1', 1, /the configuration cannot be used:\nmtu: 1 is not allowed; .* \(--set mtu\)/],
  ['daemon --set mtu=9000', 1, /mtu: 9000 does not fit the uplinks \(--set mtu\)/],
  ['config check --set cluster-pool.range=1', 1, /cluster-pool\.pools: is missing \(--set cluster-pool\.range\)/],
]
for (const [line, status, message] of wrong) {
  test(`causeway ${line} exits with ${status} and says why`, async () => {
    const result = await run(line.split(' '))
    assert.equal(result.status, status)
    assert.match(result.err, message)
    assert.equal(result.out, '')
  })
}

test('a good configuration is printed with where its values come from', async () => {
  const args = ['--set', 'mtu=1400', '--set', 'cluster-pool={pools: {}}']
  assert.match((await run(['config', 'print', ...args])).out, /^mtu: 1400 # --set mtu$/m)
  assert.deepEqual(
    (JSON.parse((await run(['config', 'print', '-o', 'json', ...args])).out) as { mtu: number }).mtu,
    1400,
  )
  assert.deepEqual(await run(['config', 'check', ...args]), {
    status: 0,
    out: 'the configuration without a file is good\n',
    err: '',
  })
})

test('uninstall is given its paths and whether to force', async () => {
  assert.equal((await run(['uninstall', '--force', '--set', 'paths.run=/x'])).out, '/x true\n')
})

test("a command that is a plugin's is run by the daemon", async () => {
  await using at = await daemon()
  const before = ['--socket', join(at.runDirectory, 'api.sock')]
  assert.deepEqual(await run([...before, 'leases', '--all', '--socket', 'x', '-h']), {
    status: 4,
    out: 'leases --all --socket x -h\n',
    err: '',
  })
  const broken = await run([...before, 'leases', '--broken'])
  assert.deepEqual(broken, { status: 1, out: '', err: 'causeway: the cloud is gone\n' })
  const mistyped = await run([...before, 'leasse'])
  assert.equal(mistyped.status, 2)
  assert.match(mistyped.err, /there is no command leasse; did you mean leases\?/)
  assert.match((await run(['--table', 'x', 'leases'])).err, /^causeway: leases has no option --table/)
})

test('help and completion have the commands of plugins while the daemon runs', async () => {
  await using at = await daemon()
  const socket = join(at.runDirectory, 'api.sock')
  const list = (await run(['--help'], { env: { CAUSEWAY_SOCKET: socket } })).out
  assert.match(list, /^Commands of plugins, which the daemon runs:\n {2}leases {2}Show leases\. \(mine\)$/m)
  for (const shell of ['bash', 'zsh', 'fish'])
    assert.match((await run(['completion', shell, '--socket', socket])).out, /\bleases\b/)
  const without = { env: { CAUSEWAY_SOCKET: join(at.runDirectory, 'nobody.sock') } }
  assert.doesNotMatch((await run(['--help'], without)).out, /of plugins/)
  assert.doesNotMatch((await run(['completion', 'bash'], without)).out, /leases/)
})

test("no plugin may take one of the project's own commands", () => {
  assert.deepEqual(OWN_COMMANDS, [...new Set(commands.map(command => command.name.split(' ')[0]))])
})

test('an interrupted command is silent about the interruption only', async () => {
  const stop = new AbortController()
  stop.abort(new Error('stopped by SIGINT'))
  const fail = (error: Error) =>
    run(['uninstall'], { signal: stop.signal, programs: { ...programs, uninstall: () => Promise.reject(error) } })
  assert.deepEqual(await fail(stop.signal.reason as Error), { status: 1, out: '', err: '' })
  assert.equal((await fail(new Error('routes are left'))).err, 'causeway: routes are left\n')
})

test('uninstall goes by its own keys, whatever else is wrong with the configuration', async () => {
  const args = ['uninstall', '--set', 'paths.run=/x', '--set', 'unknown=1', '--set', 'mtu=1', '--set', 'paths.new=y']
  assert.equal((await run(args)).out, '/x false\n')
  assert.match((await run([...args, '--set', 'paths.bpf=relative'])).err, /paths\.bpf: "relative" is not allowed/)
  assert.match((await run([...args, '--set', 'cni.confName=x'])).err, /cni\.confName: "x" is not allowed/)
})

test('options may stand before the command', async () => {
  await using at = await daemon()
  assert.equal((await run(['--socket', join(at.runDirectory, 'api.sock'), '-o', 'json', 'health'])).status, 0)
})

test('every command has help that names all its options', async () => {
  assert.match((await run([])).out, /^Usage: causeway COMMAND/)
  for (const command of commands) {
    const { out, status } = await run([...command.name.split(' '), '--help'])
    assert.equal(status, 0)
    for (const option of Object.keys(command.options ?? {}))
      assert.ok(out.includes(`--${option}`), `${command.name} --${option}`)
  }
})
