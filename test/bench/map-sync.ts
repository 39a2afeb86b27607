/**
 * `map-sync`: from the objects of services with ten backends each to the maps of the programs, and one endpoint's change
 * among them: 10,000 with a cluster address, beside a raw batch write of as many entries, and 1,000 of load balancers,
 * each with a Maglev table.
 */
import { setImmediate } from 'node:timers/promises'
import { ServiceTarget, type ServiceMaps } from '../../daemon/datapath/service-target.ts'
import {
  type Backend,
  MaglevSize,
  backendLayout,
  type ServiceIds,
  serviceIdsLayout,
  type ServiceKey,
  serviceKeyLayout,
  type ServiceValue,
  serviceValueLayout,
  type DirectKey,
  directKeyLayout,
  type SlotKey,
  slotKeyLayout,
  type SourceRangeKey,
  sourceRangeKeyLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { MaglevSegments } from '../../daemon/datapath/maglev-segments.ts'
import { bytes, codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { newMap } from '../../daemon/kernel/bpf/map.ts'
import type { Balancing } from '../../daemon/service/balancing.ts'
import { DEFAULT_TABLE_SIZE } from '../../daemon/service/maglev.ts'
import { ServicePlanner } from '../../daemon/service/planner.ts'
import type { EndpointSliceRow, ServiceRow } from '../../daemon/state/service-rows.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { PLAIN_BALANCING, PLAIN_SERVICE } from '../support/service-row.ts'
import { against, type Bench, beside, type Result } from './bench.ts'

const NAME = 'map-sync'
const BACKENDS = 10
interface Load {
  readonly kind: 'ClusterIP' | 'LoadBalancer'
  readonly services: number
}
const PLAIN: Load = { kind: 'ClusterIP', services: 10_000 }
const BALANCED: Load = { kind: 'LoadBalancer', services: 1000 }
const BALANCING: Balancing = { ...PLAIN_BALANCING, tableSize: DEFAULT_TABLE_SIZE }
const LIMITS = { syncMs: 1000, rawRatio: 3, balancedMs: 2000, changeMs: 10 }
const MOST_SERVICES = PLAIN.services
/** Each takes two seconds. */
const MOST_ROUNDS = 5

export const mapSync: Bench = {
  name: NAME,
  summary: 'services from objects to maps: all at once, and one changed endpoint among them',
  async *run({ rounds, say, signal }): AsyncIterable<Result> {
    const repeated = async (load: Load): Promise<Sample[]> => {
      const samples: Sample[] = []
      for (let round = 0; round < Math.min(rounds, MOST_ROUNDS) + 1; round++) {
        await setImmediate()
        signal.throwIfAborted()
        const taken = sample(load)
        if (round > 0) samples.push(taken)
        say(`${load.services} services, round ${round}`)
      }
      return samples
    }
    // One load after the other: what one leaves to be collected would be the other's time.
    const plain = await repeated(PLAIN)
    const sync = plain.map(s => s.syncMs)
    const peer = beside(
      'raw batch write',
      sync,
      plain.map(s => s.rawMs),
    )
    const what = nameOf(PLAIN)
    yield against({ bench: NAME, case: what, unit: 'ms', ...peer }, sync, LIMITS.syncMs)
    yield against({ bench: NAME, case: `${what}, over raw`, unit: '×' }, [peer.ratio], LIMITS.rawRatio)
    yield changed(PLAIN, plain)
    const balanced = await repeated(BALANCED)
    yield against(
      { bench: NAME, case: nameOf(BALANCED), unit: 'ms' },
      balanced.map(s => s.syncMs),
      LIMITS.balancedMs,
    )
    yield changed(BALANCED, balanced)
  },
}

function nameOf({ kind, services }: Load): string {
  const tables = kind === 'LoadBalancer' ? `, tables of ${BALANCING.tableSize}` : ''
  return `${services} ${kind} services × ${BACKENDS} backends${tables}`
}

function changed(load: Load, samples: readonly Sample[]): Result {
  const what = {
    bench: NAME,
    case: `one endpoint changed of ${load.services} ${load.kind} services`,
    unit: 'ms',
  } as const
  return against(
    what,
    samples.map(s => s.changeMs),
    LIMITS.changeMs,
  )
}

interface Sample {
  readonly syncMs: number
  readonly rawMs: number
  readonly changeMs: number
}

function sample({ kind, services }: Load): Sample {
  const tables = createTables()
  for (let i = 0; i < services; i++) tables.services.put(serviceRow(kind, i))
  for (let i = 0; i < services; i++) tables.endpointSlices.put(sliceRow(i, BACKENDS))
  using planner = new ServicePlanner({ tables, nodeName: 'n1', balancing: BALANCING })
  using maps = newMaps()
  const target = new ServiceTarget({ maps: () => maps, seed: '' })
  using changes = tables.frontends.follow('bench')
  const carry = (): void => void target.updateBatch(changes.take().updated)
  const syncMs = timed(() => {
    planner.plan()
    carry()
  })
  const changeMs = timed(() => {
    tables.endpointSlices.put(sliceRow(services >> 1, BACKENDS - 1))
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
    services: make<ServiceKey, ServiceValue>(2 * MOST_SERVICES, codec(serviceKeyLayout, serviceValueLayout)),
    ranges: make<SourceRangeKey, number>(1, codec(sourceRangeKeyLayout, u32)),
    slots: make<SlotKey, Backend>(MOST_SERVICES * BACKENDS, codec(slotKeyLayout, backendLayout)),
    backends: make<number, Backend>(MOST_SERVICES * BACKENDS, codec(u32, backendLayout)),
    direct: make<DirectKey, Backend>(1, codec(directKeyLayout, backendLayout)),
    ids: make<number, ServiceIds>(1, codec(u32, serviceIdsLayout)),
    tables: stack.use(newSegments()),
    [Symbol.dispose]: () => stack.dispose(),
  }
}

function newSegments(): MaglevSegments {
  const { MAGLEV_BLOCK, MAGLEV_SEGMENT_BLOCKS: maxEntries, MAGLEV_SEGMENTS } = MaglevSize
  using inner = newMap(
    { type: 'array', name: 'bench', keySize: 4, valueSize: 2 * MAGLEV_BLOCK, maxEntries },
    codec(u32, bytes(2 * MAGLEV_BLOCK)),
  )
  using outer = newMap(
    {
      type: 'array-of-maps',
      name: 'bench',
      keySize: 4,
      valueSize: 4,
      maxEntries: MAGLEV_SEGMENTS,
      innerMapFd: inner.fd,
    },
    codec(u32, u32),
  )
  return new MaglevSegments(outer.fd)
}

function timed(act: () => void): number {
  const started = performance.now()
  act()
  return performance.now() - started
}

function serviceRow(type: Load['kind'], i: number): ServiceRow {
  return {
    ...PLAIN_SERVICE,
    name: `s${i}`,
    type,
    clusterIPs: [`10.96.${i >> 8}.${i & 255}`],
    loadBalancerIPs: type === 'LoadBalancer' ? [`203.0.${i >> 8}.${i & 255}`] : [],
    ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
  }
}

function sliceRow(i: number, count: number): EndpointSliceRow {
  return {
    namespace: 'default',
    name: `s${i}-x`,
    service: `s${i}`,
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    weight: 1,
    endpoints: Array.from({ length: count }, (_, b) => ({
      address: `10.${b + 1}.${i >> 8}.${i & 255}`,
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
