import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Trace } from '../../trace/tracer.ts'
import { type CommandContext, noOptions, UsageError } from '../command.ts'
import { trace } from './trace.ts'

const POD = { address: '10.1.0.2', port: 4000, pod: 'default/a', node: 'n1' }
const BACKEND = { address: '10.2.0.2', port: 8080, pod: 'default/web-1', node: 'n2' }
const SERVICE = { address: '10.96.0.1', port: 80 }
const PACKET = { protocol: 'tcp', flags: 'S', hops: 64, size: 60 } as const
const SENT = { ...PACKET, source: '10.1.0.2', sourcePort: 4000, destination: '10.96.0.1', destinationPort: 80 }
const FOUND: Trace = {
  node: 'n1',
  packet: { ...SENT, from: POD, to: { address: '10.96.0.1' } },
  asked: 'default/web',
  enters: { program: 'pod_out', device: 'cw01', pod: 'default/a' },
  flow: { state: 'new', reply: false },
  translation: {
    kinds: ['service'],
    made: true,
    from: { source: POD, destination: SERVICE },
    to: { source: { ...POD, port: 20_000 }, destination: BACKEND },
    service: { name: 'default/web', frontend: 'TCP 10.96.0.1:80', kind: 'cluster-ip' },
    choice: 'chance',
    backends: 3,
    port: 'chosen',
    direct: false,
  },
  replies: {
    from: { source: BACKEND, destination: { ...POD, port: 20_000 } },
    to: { source: SERVICE, destination: POD },
  },
  outcome: { kind: 'overlay', node: 'n2', tunnel: '192.0.2.2', device: 'cw-vxlan' },
  leaves: { ...SENT, sourcePort: 20_000, destination: '10.2.0.2', destinationPort: 8080, hops: 63 },
  notes: ['one of 3 backends, by chance: the next flow may get another'],
}

interface Ran {
  readonly out: string
  readonly asked: string
}

async function run(options: Readonly<Record<string, string>>, answer: Trace = FOUND, format = 'table'): Promise<Ran> {
  let [out, asked] = ['', '']
  const json = (path: string): Promise<Trace> => {
    asked = path
    return Promise.resolve(answer)
  }
  const context = {
    options: { ...noOptions, text: (name: string) => options[name], flag: (name: string) => options[name] === 'yes' },
    format,
    colour: false,
    client: () => ({ json }),
    out: (text: string) => void (out += text),
    err: () => assert.fail('nothing is said where nobody waits'),
  } as unknown as CommandContext // all that this command uses
  assert.equal(await trace.run(context), 0)
  return { out, asked }
}

const ENDS = { from: 'a', to: 'web' }
const lines = async (answer: Trace): Promise<string[]> => (await run(ENDS, answer)).out.trimEnd().split('\n')

test('a trace is a line a step', async () => {
  assert.deepEqual(await lines(FOUND), [
    'packet      default/a (10.1.0.2:4000) → 10.96.0.1:80  TCP S, 60 bytes, hops 64',
    'enters      pod_out at cw01 of default/a',
    'flow        new: conntrack knew nothing of it',
    'service     default/web (cluster-ip TCP 10.96.0.1:80) → default/web-1 (10.2.0.2:8080), by chance of 3',
    'source      default/a (10.1.0.2:4000) becomes default/a (10.1.0.2:20000), port chosen',
    'replies     default/web-1 (10.2.0.2:8080) → default/a (10.1.0.2:20000) becomes 10.96.0.1:80 → default/a (10.1.0.2:4000)',
    'route       through the overlay cw-vxlan to node n2 (192.0.2.2)',
    'leaves      10.1.0.2:20000 → 10.2.0.2:8080  TCP S, 60 bytes, hops 63',
    'note        one of 3 backends, by chance: the next flow may get another',
  ])
})

test('of a drop it says why, what to do, and what the sender hears', async () => {
  const reason = { name: 'no_backend', text: 'Nobody serves.', whatToDo: 'Look at it.' }
  const { translation: _, replies: __, ...plain } = FOUND
  const dropped: Trace = { ...plain, outcome: { kind: 'dropped', reason, told: 'reset' }, notes: [] }
  assert.deepEqual((await lines(dropped)).slice(3, -1), [
    'dropped     no_backend',
    '            Nobody serves.',
    '            Look at it.',
    'answered    its sender gets a reset',
  ])
})

test('of a flow that is open it says how long, and that its translation was there', async () => {
  const from = { source: BACKEND, destination: { address: '192.0.2.1', port: 4000, node: 'n1' } }
  const open: Trace = {
    ...FOUND,
    flow: { state: 'established', reply: true, packets: 5, replyPackets: 3, ageSeconds: 60 },
    translation: { kinds: ['reply'], made: false, from, to: { source: SERVICE, destination: POD }, direct: false },
    outcome: { kind: 'pod', pod: 'default/a', device: 'cw01' },
  }
  const told = await lines(open)
  assert.equal(told[2], 'flow        established for 60 s, 5 packets there and 3 back, a packet back')
  assert.match(told[3] ?? '', /^reply .*back to who opened the flow: .* becomes 10\.96\.0\.1:80 → default\/a .*, as of/)
  assert.ok(told.includes('route       pod default/a at cw01'))
})

test('as JSON it is what the daemon answered', async () => {
  assert.deepEqual(JSON.parse((await run(ENDS, FOUND, 'json')).out), FOUND)
})

test('every option reaches the daemon', async () => {
  const all = { protocol: 'udp', 'source-port': '7', flags: 'A', size: '99', device: 'eth0', in: 'yes' }
  const { asked } = await run({ ...ENDS, ...all })
  const query = 'from=a&to=web&protocol=udp&source-port=7&flags=A&size=99&device=eth0&in=1'
  assert.equal(asked, `/v1/trace?${query}`)
})

test('what is missing, and what is no number, is said', async () => {
  await assert.rejects(run({ from: 'a' }), (e: unknown) => e instanceof UsageError && /needs --to/.test(e.message))
  const wrong = run({ ...ENDS, 'source-port': 'x' })
  await assert.rejects(wrong, (e: unknown) => e instanceof UsageError && /--source-port x is no number/.test(e.message))
})
