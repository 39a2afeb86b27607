import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { LinkInfo } from '../kernel/kernel.ts'
import { createTables, type NodeRow, type PodRow, type Tables } from '../state/tables.ts'
import { PathPlanner, type PathPlannerOptions } from './path-planner.ts'

const node = (name: string, last: number): NodeRow => ({
  name,
  addresses: [`172.30.0.${last}`],
  podCidrs: [`10.64.${last}.0/24`],
  labels: {},
})
const pod = (name: string, address: string): PodRow => ({
  namespace: 'default',
  name,
  uid: name,
  nodeName: 'n2',
  addresses: [address],
  hostNetwork: false,
  labels: {},
})
const eth0 = { name: 'eth0', index: 2, mtu: 1500, mac: '02:00:00:00:00:01' }
const address = { address: '172.30.0.1', prefixLength: 24, scope: 'global', device: 'eth0' } as const

/** A planner that runs on node n1; `calls` are those back, with what the planner then said. */
function started(more: Partial<PathPlannerOptions> = {}, prepare: (tables: Tables) => void = () => {}) {
  const tables = createTables()
  prepare(tables)
  const clock = new FakeClock()
  const log = new FakeLog()
  const planner = new PathPlanner({
    tables,
    nodeName: 'n1',
    mode: 'auto',
    families: [4, 6],
    mtu: 'auto',
    encryptionOverhead: 0,
    cloud: () => 'none',
    net: { routeTo: () => undefined, link: () => undefined },
    log,
    clock,
    ...more,
  })
  const stop = new AbortController()
  const calls: string[] = []
  const state = { broken: '', during: (): void => {} }
  const running = planner.run(async () => {
    state.during()
    if (state.broken !== '') throw new Error(state.broken)
    calls.push(`route mtu ${planner.mtu.podRoute}${planner.informed ? '' : ' provisional'}`)
  }, stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
    planner[Symbol.dispose]()
  }
  return { tables, clock, log, planner, calls, state, [Symbol.asyncDispose]: end }
}
const onLink = (tables: Tables): void => {
  tables.uplinks.put(eth0)
  tables.hostAddresses.put(address)
  tables.nodes.put(node('n1', 1))
}
const said = (calls: string[]): string => calls.splice(0).join(', ')
const routes = ({ routes: all }: Tables): string =>
  [...all.values()]
    .map(r => r.dst)
    .sort()
    .join(' ')

test('it calls back when MTUs or uplinks change, not when nodes and pods come and go', async () => {
  await using at = started({}, onLink)
  await settle()
  assert.equal(said(at.calls), 'route mtu 1500')
  at.tables.nodes.put(node('n2', 2))
  at.tables.pods.put(pod('stray', '10.9.9.9'))
  await at.clock.advance(100)
  assert.equal(routes(at.tables), '10.64.1.0/24 10.64.2.0/24 10.9.9.9/32')
  assert.equal(said(at.calls), '')
  at.tables.nodes.put({ ...node('n3', 3), addresses: ['172.31.0.3'] })
  await at.clock.advance(100)
  assert.equal(said(at.calls), 'route mtu 1450')
  at.tables.uplinks.put({ ...eth0, name: 'wan7' })
  at.tables.hostAddresses.put({ ...address, device: 'wan7' })
  await at.clock.advance(100)
  assert.equal(said(at.calls), 'route mtu 1450')
})

test('another gateway to a node of the same network is taken when routes change, and nothing is planned while none does', async () => {
  let via = '172.30.0.254'
  const net: PathPlannerOptions['net'] = {
    routeTo: () => ({ family: 4, dst: '0.0.0.0/0', link: 2, via, table: 254, protocol: 4 }),
    // No more is asked of it.
    link: () => ({ name: 'eth0', loopback: false }) as LinkInfo,
  }
  await using at = started({ net }, tables => {
    onLink(tables)
    tables.nodes.put({ ...node('n1', 1), nativeNetwork: 'x' })
    tables.nodes.put({ ...node('n2', 2), addresses: ['172.31.0.2'], nativeNetwork: 'x' })
  })
  await settle()
  const ways = (): (string | undefined)[] => [...at.tables.routes.values()].map(r => r.via)
  assert.deepEqual(ways(), [undefined, '172.30.0.254'])
  const before = at.tables.routes.revision
  at.planner.reroute()
  await at.clock.advance(100)
  assert.equal(at.tables.routes.revision, before)
  via = '172.30.0.253'
  at.planner.reroute()
  await at.clock.advance(100)
  assert.deepEqual(ways(), [undefined, '172.30.0.253'])
})

test('it calls back when the own native network changes, by which programs are loaded otherwise', async () => {
  await using at = started({}, onLink)
  await settle()
  said(at.calls)
  at.tables.nodes.put({ ...node('n1', 1), nativeNetwork: 'x' })
  await at.clock.advance(100)
  assert.equal(said(at.calls), 'route mtu 1500')
})

test('on a machine of a cloud its own Node need not say so: a link of it is none', async () => {
  await using at = started({ cloud: () => 'aws' }, onLink)
  at.tables.nodes.put(node('n2', 2))
  await at.clock.advance(100)
  assert.deepEqual(
    [...at.tables.ipcache.values()].map(r => r.path.kind),
    ['overlay', 'overlay'],
  )
  assert.equal(at.planner.ways[0]?.hops[4]?.why, 'a link of aws, which does not know the pods')
})

test('a pod inside its range changes nothing, and is followed all the same', async () => {
  await using at = started({}, onLink)
  at.tables.nodes.put(node('n2', 2))
  await at.clock.advance(100)
  const before = [at.tables.routes.revision, at.tables.ipcache.revision]
  at.tables.pods.put(pod('a', '10.64.2.7'))
  await at.clock.advance(100)
  assert.deepEqual([at.tables.routes.revision, at.tables.ipcache.revision], before)
  assert.equal(at.tables.pods.followers[0]?.revision, at.tables.pods.revision)
})

test('changes that follow each other are planned together', async () => {
  await using at = started({}, onLink)
  await at.clock.advance(100)
  for (let i = 2; i < 20; i++) {
    at.tables.nodes.put(node(`n${i}`, i))
    await settle()
  }
  assert.equal(at.tables.routes.size, 1, 'only the own range as long as the clock stands still')
  await at.clock.advance(100)
  assert.equal(at.tables.routes.size, 19)
})

test('what fails is told, keeps the tables, and is tried again in time', async () => {
  await using at = started({}, onLink)
  await settle()
  said(at.calls)
  at.state.broken = 'no device'
  at.tables.uplinks.put({ ...eth0, mtu: 9000 })
  await at.clock.advance(100)
  assert.match(at.planner.failure ?? '', /no device$/)
  at.state.broken = ''
  await at.clock.advance(2000)
  assert.deepEqual([at.planner.failure, said(at.calls)], [undefined, 'route mtu 9000'])
  at.tables.uplinks.put({ ...eth0, mtu: 1000 })
  await at.clock.advance(100)
  assert.match(at.planner.failure ?? '', /MTU of 1000 leaves 1000 bytes/)
  assert.equal(routes(at.tables), '10.64.1.0/24')
})

test('what was carried out is looked after every 30 s and after a word that something changed', async () => {
  await using at = started({}, onLink)
  await settle()
  said(at.calls)
  await at.clock.advance(29_000)
  assert.equal(said(at.calls), '')
  await at.clock.advance(2000)
  assert.equal(said(at.calls), 'route mtu 1500')
  at.planner.repair()
  await at.clock.advance(100)
  assert.equal(said(at.calls), 'route mtu 1500')
})

test('a word that something changed while a plan is carried out is not lost', async () => {
  await using at = started({}, onLink)
  at.state.during = () => {
    at.state.during = () => {}
    at.planner.repair()
  }
  await settle()
  said(at.calls)
  at.planner.repair()
  await at.clock.advance(100)
  assert.equal(said(at.calls), 'route mtu 1500, route mtu 1500')
})

test('in mode auto nothing is planned before an uplink has had an address; its loss later changes nothing', async () => {
  await using at = started({}, tables => {
    tables.uplinks.put(eth0)
    tables.nodes.put(node('n2', 2))
  })
  await settle()
  assert.deepEqual([routes(at.tables), said(at.calls)], ['', 'route mtu 1450 provisional'])
  at.tables.hostAddresses.put(address)
  await at.clock.advance(100)
  assert.deepEqual([routes(at.tables), said(at.calls)], ['10.64.2.0/24', 'route mtu 1500'])
  at.tables.hostAddresses.delete('172.30.0.1')
  at.tables.nodes.put(node('n3', 3))
  await at.clock.advance(100)
  assert.deepEqual([routes(at.tables), said(at.calls)], ['10.64.2.0/24 10.64.3.0/24', ''])
})

test('it has finished its first sync when the sources have, and a plan was carried out', async () => {
  const done: (() => void)[] = []
  await using at = started({}, tables => {
    onLink(tables)
    done.push(tables.nodes.initializer('source'), tables.pods.initializer('source'))
  })
  await at.clock.advance(100)
  assert.deepEqual([at.planner.informed, at.tables.routes.initialized], [false, false])
  at.state.broken = 'no device'
  for (const finish of done) finish()
  await at.clock.advance(100)
  assert.deepEqual([at.planner.informed, at.tables.routes.initialized], [true, false])
  at.state.broken = ''
  await at.clock.advance(2000)
  assert.equal(at.tables.routes.initialized, true)
})
