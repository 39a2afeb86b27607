/**
 * The lab's own promises, held against a network of other people's CNI plugins: every row holds on a network that works,
 * what is broken shows, and `down` leaves the machine as it was, whatever `up` was doing when it was interrupted.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempDisposableSync, readdirSync, readFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, runCommand } from '../../deploy/lab/command.ts'
import { noKubernetesTools } from '../support/kubernetes-tools.ts'
import { traces } from '../support/machine-traces.ts'
import { sweepLabs } from '../support/sweep-labs.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LAB = [process.execPath, join(ROOT, 'deploy/lab/main.ts')]
const LABS = ['ref', 'one', 'two', 'kill', 'int', 'bad', 'none', 'set', 'typo', 'exec', 'bare'] as const
/** Names of this process alone: two runs of the tests must not take each other's labs away. */
const named = (what: (typeof LABS)[number]): string => `${what}${process.pid}`
before(() => sweepLabs(LABS))
const REFERENCE = ['--daemon', join(ROOT, 'test/support/reference-daemon.ts')]

async function lab(name: string, ...args: readonly string[]): Promise<string> {
  const end = args.indexOf('--')
  const [own, rest] = end < 0 ? [args, []] : [args.slice(0, end), args.slice(end)]
  return await mustRun([...LAB, ...own, '--name', name, ...rest])
}

interface JsonRow {
  readonly way: string
  readonly from: string
  readonly to: string
  readonly ok: boolean
  readonly error?: string
}
function rows(output: string): JsonRow[] {
  return output
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as JsonRow)
}

/** Starts `up` and sends it a signal once it prints a line that starts so; resolves to how it ended: status or signal. */
async function interruptUp(
  name: string,
  line: string,
  signal: NodeJS.Signals,
  form: readonly string[] = REFERENCE,
): Promise<number | NodeJS.Signals> {
  const [file = '', ...args] = [...LAB, 'up', '--name', name, ...form]
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  createInterface({ input: child.stderr }).on('line', text => {
    if (text.startsWith(`lab: ${line}`)) child.kill(signal)
  })
  return await new Promise(done => child.on('close', (status, by) => done(by ?? status ?? 0)))
}

suite('a lab on a network that works', () => {
  const name = named('ref')
  const traced = traces(name)
  before(() => lab(name, 'up', '--nodes', '3', ...REFERENCE))
  after(() => lab(name, 'down'))

  test('has every row hold, each node once as sender', async () => {
    const results = rows(await lab(name, 'check', '--json'))
    assert.deepEqual(
      results.filter(r => !r.ok),
      [],
    )
    assert.equal(results.length, 3 * 174)
    assert.deepEqual([...new Set(results.map(r => r.from))].sort(), [
      'node1',
      'node1-a',
      'node2',
      'node2-a',
      'node3',
      'node3-a',
      'outside',
    ])
  })

  test('passes again on the lab that is up', async () => {
    const output = await lab(name, '--json')
    assert.ok(rows(output).every(r => r.ok))
  })

  test('builds again when something in it does not run any more', async () => {
    const { stdout } = await runCommand(['ip', 'netns', 'pids', `cw-${name}-node2-a`])
    process.kill(Number(stdout.trim()))
    const { stderr } = await runCommand([...LAB, 'up', '--name', name])
    assert.match(stderr, /removing what was there: nothing serves in node2-a/)
    assert.ok(rows(await lab(name, 'check', '--json')).every(r => r.ok))
  })

  test('names the row and exits 1 when a node drops what comes in', async () => {
    const drop = ['ip', 'route', 'replace', 'blackhole', '10.71.2.0/24']
    await lab(name, 'exec', 'node1', '--', ...drop)
    const result = await runCommand([...LAB, 'check', '--json', '--name', name])
    await lab(name, 'exec', 'node1', '--', 'ip', 'route', 'replace', '10.71.2.0/24', 'via', '172.30.0.2')
    assert.equal(result.status, 1)
    const failed = rows(result.stdout).filter(r => !r.ok)
    assert.deepEqual([...new Set(failed.map(r => `${r.way}: ${r.from} → ${r.to}`))].sort(), [
      'node → pod, other node: node1 → node2-a',
      'pod → pod, other node: node1-a → node2-a',
    ])
  })

  test('runs commands inside pods with their exit status', async () => {
    assert.match(await lab(name, 'exec', 'node2-b', '--', 'ip', '-br', 'address'), /^eth0@\S+ +UP +10\.71\.2\./m)
    const result = await runCommand([...LAB, 'exec', 'node2-b', '--name', name, '--', 'sh', '-c', 'exit 7'])
    assert.equal(result.status, 7)
  })

  test("adds nothing to the machine's own namespace", () => {
    const now = traces(name)
    assert.deepEqual(
      { ...now, namespaces: [], mounts: [], cgroups: [], folders: [] },
      { ...traced, namespaces: [], mounts: [], cgroups: [], folders: [] },
    )
  })
})

test('two labs live side by side and end apart', async t => {
  const start = traces(named('one'), named('two'))
  t.after(() => Promise.all([lab(named('one'), 'down'), lab(named('two'), 'down')]))
  await Promise.all([lab(named('one'), 'up', ...REFERENCE), lab(named('two'), 'up', ...REFERENCE)])
  await lab(named('one'), 'down')
  assert.ok(rows(await lab(named('two'), 'check', '--json')).every(r => r.ok))
  await lab(named('two'), 'down')
  assert.deepEqual(traces(named('one'), named('two')), start)
})

for (const line of ['starting 2 daemons', 'starting 4 pods']) {
  test(`an up killed at "${line}" is cleaned by the next down`, async () => {
    const start = traces(named('kill'))
    assert.equal(await interruptUp(named('kill'), line, 'SIGKILL'), 'SIGKILL')
    assert.notDeepEqual(traces(named('kill')), start)
    await lab(named('kill'), 'down')
    assert.deepEqual(traces(named('kill')), start)
    assert.equal(existsSync(`/run/causeway-lab/${named('kill')}`), false)
  })
  test(`an up killed at "${line}" does not keep the next up from succeeding`, async t => {
    const start = traces(named('kill'))
    t.after(() => lab(named('kill'), 'down'))
    assert.equal(await interruptUp(named('kill'), line, 'SIGKILL'), 'SIGKILL')
    await lab(named('kill'), 'up', ...REFERENCE)
    assert.ok(rows(await lab(named('kill'), 'check', '--json')).every(r => r.ok))
    await lab(named('kill'), 'down')
    assert.deepEqual(traces(named('kill')), start)
  })
  test(`an up interrupted at "${line}" cleans up after itself`, async () => {
    const start = traces(named('int'))
    assert.equal(await interruptUp(named('int'), line, 'SIGINT'), 130)
    assert.deepEqual(traces(named('int')), start)
  })
}

for (const line of ['starting the control plane', 'starting 2 daemons']) {
  test(`an up with an API server killed at "${line}" is cleaned by the next down`, async () => {
    const start = traces(named('kill'))
    assert.equal(await interruptUp(named('kill'), line, 'SIGKILL', ['--kubernetes']), 'SIGKILL')
    assert.notDeepEqual(traces(named('kill')), start)
    await lab(named('kill'), 'down')
    assert.deepEqual(traces(named('kill')), start)
  })
  test(`an up with an API server interrupted at "${line}" cleans up after itself`, async () => {
    const start = traces(named('int'))
    assert.equal(await interruptUp(named('int'), line, 'SIGINT', ['--kubernetes']), 130)
    assert.deepEqual(traces(named('int')), start)
  })
}

test('a lab that was built bare has nothing of the project, says so, and is taken as it is', async t => {
  const name = named('bare')
  const start = traces(name)
  t.after(() => lab(name, 'down'))
  const { stderr: first } = await runCommand([...LAB, '--kubernetes', '--bare', '--name', name])
  assert.match(first, /up: 2 nodes, 0 pods[^]*it has nothing of the project yet/)
  for (const args of [['up'], ['up', '--kubernetes', '--bare']])
    assert.match((await runCommand([...LAB, ...args, '--name', name])).stderr, /it is up already/)
  for (const [verb, words] of [
    ['check', /the lab has no pods yet: npm run lab -- pods/],
    ['pods', /the daemon of node1 is not ready: install the chart first/],
  ] as const) {
    const { status, stderr } = await runCommand([...LAB, verb, '--name', name])
    assert.equal(status, 1)
    assert.match(stderr, words)
  }
  await lab(name, 'down')
  assert.deepEqual(traces(name), start)
})

test('kubectl and helm beside the API server keep nothing elsewhere', { skip: noKubernetesTools }, async t => {
  const name = named('bare')
  t.after(() => lab(name, 'down'))
  using home = mkdtempDisposableSync(join(tmpdir(), 'causeway-home-'))
  await lab(name, 'up', '--kubernetes', '--bare', '--nodes', '1')
  const script = 'kubectl get nodes --output name && helm list --all-namespaces'
  const command = [...LAB, 'exec', 'control', '--name', name, '--', 'sh', '-c', script]
  const { status, stdout, stderr } = await runCommand(command, { env: { ...process.env, HOME: home.path } })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^node\/node1$/m)
  assert.deepEqual(readdirSync(home.path), [])
})

test('an up whose daemon ends says so with the end of its log', async () => {
  const result = await runCommand([...LAB, 'up', '--name', named('bad'), '--daemon', '/nonexistent.ts'])
  await lab(named('bad'), 'down')
  assert.equal(result.status, 1)
  assert.match(result.stderr, /the daemon of node\d ended \(1\):\n(.*\n)*.*nonexistent/)
})

test('a typo in --set does not cost the lab that is up', async t => {
  const name = named('typo')
  t.after(() => lab(name, 'down'))
  await lab(name, 'up', '--nodes', '1', '--pods', '1')
  for (const [set, message] of [
    ['routing.mod=native', /routing\.mod: unknown key; did you mean mode\?/],
    ['routing.mode', /--set takes key\.in\.the\.configuration=value/],
  ] as const) {
    const { status, stderr } = await runCommand([...LAB, 'up', '--name', name, '--set', set])
    assert.equal(status, 1)
    assert.match(stderr, message)
  }
  const { stderr } = await runCommand([...LAB, 'up', '--name', name])
  assert.match(stderr, /it is up already/)
})

test('a signal ends a command that runs in a pod', async t => {
  const name = named('exec')
  t.after(() => lab(name, 'down'))
  await lab(name, 'up', '--nodes', '1', '--pods', '1', ...REFERENCE)
  const [file, ...args] = [...LAB, 'exec', 'node1-a', '--name', name, '--', 'sh', '-c', 'echo here; exec sleep 60']
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', () => child.kill('SIGTERM'))
  assert.equal(await new Promise(done => child.on('close', done)), 128 + constants.signals.SIGTERM)
})

test('down without a lab succeeds', async () => {
  await lab(named('none'), 'down')
})

test('the configuration of every node carries what --set asked for', async () => {
  const set = ['--set', 'routing.mode=overlay', '--set', 'families=[ipv4]']
  await lab(named('set'), 'up', ...set, ...REFERENCE)
  const config = readFileSync(`/run/causeway-lab/${named('set')}/node2/config.yaml`, 'utf8')
  await lab(named('set'), 'down')
  assert.match(config, /^nodeName: node2$/m)
  assert.match(config, /^routing:\n {2}mode: overlay$/m)
  assert.match(config, /^families:\n {2}- ipv4$/m)
})
