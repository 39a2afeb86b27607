import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DropReason, EVENT_SIZE, encodeEvent, EventKind, Hook } from '../datapath/shared.gen.ts'
import { parseFilter } from '../api/flow-filter.ts'
import { toMapped16 } from '../kernel/ip.ts'
import { createTables, type EndpointRow, type Tables } from '../state/tables.ts'
import { createFlows, type FlowLine, type Flows } from './flows.ts'

/** Bytes of a UDP packet from 10.0.0.SOURCE to 10.0.0.DESTINATION, seen at a device. */
function eventBytes(source: number, destination: number, kind: number, ifindex: number): Uint8Array {
  // The ring buffer rounds records up to 8 bytes; what follows the event is not ours.
  const bytes = new Uint8Array(EVENT_SIZE + 8).fill(255)
  encodeEvent(new DataView(bytes.buffer), 0, {
    timeNs: 0n,
    source: toMapped16(`10.0.0.${source}`),
    destination: toMapped16(`10.0.0.${destination}`),
    sourcePort: 1,
    destinationPort: 2,
    protocol: 17,
    tcpFlags: 0,
    kind,
    hook: Hook.HOOK_POD_OUT,
    reason: kind === DROP ? DropReason.DROP_SPOOFED_ADDRESS : 0,
    reply: 0,
    ethertype: 0x0800,
    rule: 0,
    ifindex,
    length: 60,
    ctFlags: 0,
    moment: 1,
    packets: 1n,
    bytes: 60n,
    replyPackets: 0n,
    replyBytes: 0n,
  })
  return bytes
}
const DROP = EventKind.EVENT_DROP
const FLOW = EventKind.EVENT_FLOW

interface Bench extends Disposable {
  readonly flows: Flows
  readonly tables: Tables
  /** Devices whose names were asked for. */
  readonly asked: readonly number[]
  /** The device is number SOURCE unless given. */
  push(source: number, destination: number, kind?: number, ifindex?: number): void
}
function bench(keep = 16): Bench {
  const tables = createTables()
  let handler: (record: Uint8Array) => void = () => {}
  let closed = false
  const asked: number[] = []
  const flows = createFlows({
    keep,
    tables,
    nodeName: 'node-a',
    linkName: index => (asked.push(index), index === 77 ? 'cw-vxlan' : undefined),
    records: h => ((handler = h), { [Symbol.dispose]: () => void (closed = true) }),
    clocks: () => ({ wallMs: 0, monotonicNs: 0n }),
  })
  return {
    flows,
    tables,
    asked,
    push: (source, destination, kind = FLOW, ifindex = source) =>
      handler(eventBytes(source, destination, kind, ifindex)),
    [Symbol.dispose]() {
      flows[Symbol.dispose]()
      assert.equal(closed, true)
    },
  }
}

const endpoint = (key: string, name: string, address: string): EndpointRow => ({
  key,
  id: 1,
  pod: { namespace: 'default', name, uid: '' },
  addresses: [address],
  pool: 'default',
  device: { name: 'cw0', index: 1, mac: '' },
  interface: { name: 'eth0', mac: '', mtu: 1500 },
  netns: { dev: 1, ino: 1, path: '' },
})

function show(line: FlowLine): string {
  if ('lost' in line) return `lost ${line.lost}`
  return `${line.source.pod ?? line.source.node ?? line.source.address} > ${line.destination.pod ?? line.destination.node ?? line.destination.address}`
}

async function last(flows: Flows, count: number, filter = ''): Promise<string[]> {
  const query = {
    last: count,
    follow: false,
    filter: parseFilter(new URLSearchParams(filter)),
    signal: new AbortController().signal,
  }
  const lines: string[] = []
  for await (const line of flows.read(query)) lines.push(show(line))
  return lines
}

test('the last events are kept for those who ask later', async () => {
  using at = bench(4)
  for (let i = 1; i <= 6; i++) at.push(i, 9)
  assert.deepEqual(await last(at.flows, 2), ['10.0.0.5 > 10.0.0.9', '10.0.0.6 > 10.0.0.9'])
  assert.equal((await last(at.flows, 100)).length, 4)
})

test('the last that match are found behind any number that do not', async () => {
  using at = bench(1024)
  for (const source of [1, 2, 3]) at.push(source, 9, DROP)
  for (let i = 0; i < 1000; i++) at.push(4, 9)
  assert.deepEqual(await last(at.flows, 2, 'verdict=dropped'), ['10.0.0.2 > 10.0.0.9', '10.0.0.3 > 10.0.0.9'])
  assert.deepEqual(await last(at.flows, 0, 'verdict=dropped'), [])
})

test('a reading that does not follow ends although events go on coming', async () => {
  using at = bench(1024)
  for (let i = 0; i < 600; i++) at.push(1, 9)
  const seen: string[] = []
  const query = { last: 1024, follow: false, filter: () => true, signal: new AbortController().signal }
  for await (const line of at.flows.read(query)) {
    seen.push(show(line))
    at.push(2, 9)
  }
  assert.deepEqual([seen.length, new Set(seen)], [600, new Set(['10.0.0.1 > 10.0.0.9'])])
})

test('a follower first gets what was kept, then what came meanwhile', async () => {
  using at = bench()
  at.push(1, 9)
  at.push(2, 9)
  const stop = new AbortController()
  const seen: string[] = []
  for await (const line of at.flows.read({ last: 1, follow: true, filter: () => true, signal: stop.signal })) {
    if (seen.push(show(line)) === 1) at.push(3, 9)
    else stop.abort()
  }
  assert.deepEqual(seen, ['10.0.0.2 > 10.0.0.9', '10.0.0.3 > 10.0.0.9'])
})

test('a pod without a name is called by the key of its attachment', async () => {
  using at = bench()
  const row = endpoint('net/c1/eth0', '', '10.0.0.1')
  at.tables.endpoints.put({ ...row, pod: { namespace: '', name: '', uid: '' } })
  at.push(1, 9)
  assert.deepEqual(await last(at.flows, 1, 'pod=net/c1/eth0'), ['net/c1/eth0 > 10.0.0.9'])
})

test('a follower gets what comes, until its signal aborts', async () => {
  using at = bench()
  at.push(1, 2)
  const stop = new AbortController()
  const lines = at.flows.read({ last: 0, follow: true, filter: () => true, signal: stop.signal })
  const first = lines.next()
  at.push(3, 4)
  assert.equal(show((await first).value), '10.0.0.3 > 10.0.0.4')
  const next = lines.next()
  stop.abort()
  assert.equal((await next).done, true)
})

test('a reader that is too slow loses the oldest and is told how many', async () => {
  using at = bench(4)
  const stop = new AbortController()
  const lines = at.flows.read({ last: 0, follow: true, filter: () => true, signal: stop.signal })
  const first = lines.next()
  for (let i = 1; i <= 10; i++) at.push(i, 9)
  const seen = [show((await first).value)]
  for (let i = 0; i < 4; i++) seen.push(show((await lines.next()).value))
  assert.deepEqual(seen, [
    'lost 6',
    '10.0.0.7 > 10.0.0.9',
    '10.0.0.8 > 10.0.0.9',
    '10.0.0.9 > 10.0.0.9',
    '10.0.0.10 > 10.0.0.9',
  ])
  stop.abort()
  await lines.return(undefined)
})

test('addresses are named from endpoints, pods, this node and other nodes, in this order', async () => {
  using at = bench()
  at.tables.nodes.put({ name: 'node-b', addresses: ['10.0.0.1', '10.0.0.2'], podCidrs: [], labels: {} })
  at.tables.hostAddresses.put({ address: '10.0.0.2', prefixLength: 24, scope: 'global', device: 'eth0' })
  const pod = { namespace: 'default', uid: '', nodeName: 'node-b', hostNetwork: false, labels: {} }
  at.tables.pods.put({ ...pod, name: 'remote', addresses: ['10.0.0.3', '10.0.0.4'] })
  at.tables.pods.put({ ...pod, name: 'agent', addresses: ['10.0.0.1'], hostNetwork: true })
  at.tables.endpoints.put(endpoint('k', 'local', '10.0.0.4'))
  at.push(1, 2)
  at.push(3, 4)
  assert.deepEqual(await last(at.flows, 9), ['node-b > node-a', 'default/remote > default/local'])
})

test('a pod that has ended keeps its name until its address has another owner', async () => {
  using at = bench()
  at.push(1, 9)
  at.tables.endpoints.put(endpoint('k0', 'other', '10.0.0.7'))
  await last(at.flows, 1)
  at.tables.endpoints.put(endpoint('k1', 'first', '10.0.0.1'))
  at.tables.endpoints.delete('k1')
  assert.deepEqual(await last(at.flows, 1), ['default/first > 10.0.0.9'])
  at.tables.endpoints.put(endpoint('k2', 'second', '10.0.0.1'))
  assert.deepEqual(await last(at.flows, 1), ['default/second > 10.0.0.9'])
  at.tables.endpoints.put(endpoint('k2', 'second', '10.0.0.2'))
  at.push(2, 1)
  assert.deepEqual(await last(at.flows, 1), ['default/second > default/second'])
})

test('an address that moves from one endpoint to another in one step has its new name', async () => {
  using at = bench()
  at.tables.endpoints.put(endpoint('old', 'old', '10.0.0.1'))
  at.push(1, 9)
  await last(at.flows, 1)
  at.tables.endpoints.put(endpoint('new', 'new', '10.0.0.1'))
  at.tables.endpoints.delete('old')
  assert.deepEqual(await last(at.flows, 1), ['default/new > 10.0.0.9'])
})

test('the device of a record has its name as long as a table knows it', async () => {
  using at = bench()
  const names: (string | undefined)[] = []
  const note = async (): Promise<void> => {
    const query = { last: 1, follow: false, filter: () => true, signal: new AbortController().signal }
    for await (const line of at.flows.read(query)) if (!('lost' in line)) names.push(line.interface.name)
  }
  at.push(1, 2)
  await note()
  at.tables.endpoints.put(endpoint('k', 'web', '10.0.0.1'))
  await note()
  at.tables.uplinks.put({ name: 'eth0', index: 1, mtu: 1500, mac: '' })
  at.tables.endpoints.delete('k')
  await note()
  assert.deepEqual(names, [undefined, 'cw0', 'eth0'])
})

test('a device that no table knows is asked for once', async () => {
  using at = bench()
  at.push(8, 9, DROP, 77)
  at.push(8, 9, DROP, 77)
  const names: (string | undefined)[] = []
  const query = { last: 9, follow: false, filter: () => true, signal: new AbortController().signal }
  for await (const line of at.flows.read(query)) if (!('lost' in line)) names.push(line.interface.name)
  assert.deepEqual([names, at.asked], [['cw-vxlan', 'cw-vxlan'], [77]])
})

const filters: readonly (readonly [query: string, want: readonly string[]])[] = [
  ['', ['default/a > 10.0.0.2', '10.0.0.3 > default/a', '10.0.0.3 > 10.0.0.2']],
  ['pod=default/a', ['default/a > 10.0.0.2', '10.0.0.3 > default/a']],
  ['pod=default/', ['default/a > 10.0.0.2', '10.0.0.3 > default/a']],
  ['pod=default', []],
  ['ip=10.0.0.2', ['default/a > 10.0.0.2', '10.0.0.3 > 10.0.0.2']],
  ['ip=10.0.0.2&pod=default/a', ['default/a > 10.0.0.2']],
  ['verdict=dropped', ['10.0.0.3 > default/a']],
  ['reason=spoofed_address', ['10.0.0.3 > default/a']],
  [
    'verdict=dropped&verdict=forwarded&protocol=udp',
    ['default/a > 10.0.0.2', '10.0.0.3 > default/a', '10.0.0.3 > 10.0.0.2'],
  ],
  ['protocol=tcp', []],
]
for (const [query, want] of filters) {
  test(`the filter '${query}' lets the right records through`, async () => {
    using at = bench()
    at.tables.endpoints.put(endpoint('k', 'a', '10.0.0.1'))
    at.push(1, 2)
    at.push(3, 1, DROP)
    at.push(3, 2)
    assert.deepEqual(await last(at.flows, 9, query), want)
  })
}

test("what a pod's device saw is that pod's, whatever addresses it bears", async () => {
  using at = bench()
  at.tables.endpoints.put(endpoint('k', 'a', '10.0.0.1'))
  at.push(8, 9, DROP, 1)
  at.push(8, 9, DROP, 2)
  assert.deepEqual(await last(at.flows, 9, 'pod=default/a'), ['10.0.0.8 > 10.0.0.9'])
})

for (const query of ['ip=10.0.0', 'verdict=lost']) {
  test(`the filter '${query}' is refused`, () => {
    assert.throws(() => parseFilter(new URLSearchParams(query)), { code: 'BAD_FILTER', status: 400 })
  })
}
