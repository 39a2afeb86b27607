/**
 * `map-sync`: from the objects of 10,000 services with ten backends each to the maps of the programs, and one endpoint's change
 * among them; beside it a raw batch write of as many entries.
 */
import { ServiceTarget, type ServiceMaps } from '../../daemon/datapath/service-target.ts'
import {
  type Backend,
  backendLayout,
  type ServiceKey,
  serviceKeyLayout,
  type ServiceValue,
  serviceValueLayout,
  type SlotKey,
  slotKeyLayout,
  type SourceRangeKey,
  sourceRangeKeyLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { newMap } from '../../daemon/kernel/bpf/map.ts'
import { ServicePlanner } from '../../daemon/service/planner.ts'
import type { EndpointSliceRow, ServiceRow } from '../../daemon/state/service-rows.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { against, type Bench, beside, type Result } from './bench.ts'

const NAME = 'map-sync'
const SERVICES = 10_000
const BACKENDS = 10
const LIMITS = { syncMs: 1000, rawRatio: 3, changeMs: 10 }
/** Each takes a second. */
const MOST_ROUNDS = 5

export const mapSync: Bench = {
  name: NAME,
  summary: 'services from objects to maps: all at once, and one changed endpoint among them',
  async *run({ rounds, say, signal }): AsyncIterable<Result> {
    const samples: Sample[] = []
    for (let round = 0; round < Math.min(rounds, MOST_ROUNDS) + 1; round++) {
      signal.throwIfAborted()
      const taken = sample()
      if (round > 0) samples.push(taken)
      say(`round ${round}`)
    }
    const sync = samples.map(s => s.syncMs)
    const raw = samples.map(s => s.rawMs)
    const what = `${SERVICES} services × ${BACKENDS} backends`
    const peer = beside('raw batch write', sync, raw)
    yield against({ bench: NAME, case: what, unit: 'ms', ...peer }, sync, LIMITS.syncMs)
    yield against({ bench: NAME, case: `${what}, over raw`, unit: '×' }, [peer.ratio], LIMITS.rawRatio)
    yield against(
      { bench: NAME, case: 'one endpoint changed', unit: 'ms' },
      samples.map(s => s.changeMs),
      LIMITS.changeMs,
    )
  },
}

interface Sample {
  readonly syncMs: number
  readonly rawMs: number
  readonly changeMs: number
}

function sample(): Sample {
  const tables = createTables()
  for (let i = 0; i < SERVICES; i++) tables.services.put(serviceRow(i))
  for (let i = 0; i < SERVICES; i++) tables.endpointSlices.put(sliceRow(i, BACKENDS))
  using planner = new ServicePlanner({ tables, nodeName: 'n1' })
  using maps = newMaps()
  const target = new ServiceTarget(() => maps)
  using changes = tables.frontends.follow('bench')
  const carry = (): void => void target.updateBatch(changes.take().updated)
  const syncMs = timed(() => {
    planner.plan()
    carry()
  })
  const changeMs = timed(() => {
    tables.endpointSlices.put(sliceRow(SERVICES >> 1, BACKENDS - 1))
    planner.plan()
    carry()
  })
  return { syncMs, changeMs, rawMs: rawWrite(maps) }
}

/** The same entries again, into maps that have none. */
function rawWrite(from: ServiceMaps): number {
  using to = newMaps()
  const entries = {
    services: [...from.services.entries()],
    slots: [...from.slots.entries()],
    backends: [...from.backends.entries()],
  }
  return timed(() => {
    to.backends.updateBatch(entries.backends)
    to.slots.updateBatch(entries.slots)
    to.services.updateBatch(entries.services)
  })
}

function newMaps(): ServiceMaps & Disposable {
  const stack = new DisposableStack()
  const spec = { type: 'hash', flags: 1, name: 'bench' } as const
  const make = <K, V>(maxEntries: number, layout: ReturnType<typeof codec<K, V>>) =>
    stack.use(newMap({ ...spec, keySize: layout.keySize, valueSize: layout.valueSize, maxEntries }, layout))
  return {
    // One entry more for each address.
    services: make<ServiceKey, ServiceValue>(2 * SERVICES, codec(serviceKeyLayout, serviceValueLayout)),
    ranges: make<SourceRangeKey, number>(1, codec(sourceRangeKeyLayout, u32)),
    slots: make<SlotKey, Backend>(SERVICES * BACKENDS, codec(slotKeyLayout, backendLayout)),
    backends: make<number, Backend>(SERVICES * BACKENDS, codec(u32, backendLayout)),
    [Symbol.dispose]: () => stack.dispose(),
  }
}

function timed(act: () => void): number {
  const started = performance.now()
  act()
  return performance.now() - started
}

function serviceRow(i: number): ServiceRow {
  return {
    namespace: 'default',
    name: `s${i}`,
    type: 'ClusterIP',
    clusterIPs: [`10.96.${i >> 8}.${i & 255}`],
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: [],
    ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
    affinitySeconds: 0,
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    healthCheckNodePort: 0,
    publishNotReadyAddresses: false,
    annotations: {},
  }
}

function sliceRow(i: number, count: number): EndpointSliceRow {
  return {
    namespace: 'default',
    name: `s${i}-x`,
    service: `s${i}`,
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: Array.from({ length: count }, (_, b) => ({
      addresses: [`10.${b + 1}.${i >> 8}.${i & 255}`],
      ready: true,
      serving: true,
      terminating: false,
      nodeName: `n${b}`,
      zone: '',
      hintZones: [],
      hintNodes: [],
    })),
  }
}
