/** Flows of this node: takes the datapath's events in, gives flow records out. */
import { EVENT_SIZE, decodeEvent } from '../datapath/shared.gen.ts'
import type { Tables } from '../state/tables.ts'
import { EventRing } from './event-ring.ts'
import { interfaces } from './interfaces.ts'
import { Names } from './names.ts'
import { type FlowRecord, toRecord } from './record.ts'
import { type ReadClocks, wallClock } from './wall-clock.ts'

/** A line of `GET /v1/flows`: a record, or how many were lost before the next one because the reader was slow. */
export type FlowLine = FlowRecord | { readonly lost: number }

/** Whether somebody wants to see a record. */
export type FlowFilter = (record: FlowRecord) => boolean

export interface FlowsOptions {
  /** Calls the handler for each record of the ring buffer, whose bytes are valid during the call only. */
  readonly records: (handler: (record: Uint8Array) => void) => Disposable
  readonly tables: Pick<Tables, 'endpoints' | 'pods' | 'hostAddresses' | 'nodes' | 'uplinks'>
  readonly nodeName: string
  /** What the kernel calls the device with an index; undefined when it is gone. */
  readonly linkName: (index: number) => string | undefined
  /** Events kept for those who ask later. */
  readonly keep?: number
  readonly clocks?: ReadClocks
}

export interface FlowQuery {
  /** How many of the kept records come first: the newest that pass the filter, in their order. */
  readonly last: number
  /** Goes on with those that come until the signal aborts. */
  readonly follow: boolean
  readonly filter: FlowFilter
  readonly signal: AbortSignal
}

export interface Flows extends Disposable {
  read(query: FlowQuery): AsyncGenerator<FlowLine>
}

/** Starts taking events in at once; disposing ends that, readers end by their signals. */
export function createFlows(options: FlowsOptions): Flows {
  const { tables } = options
  const ring = new EventRing(EVENT_SIZE, options.keep ?? 8192)
  const names = new Names(tables, options.nodeName)
  const refreshing = setInterval(() => names.refresh(), 1000).unref()
  const source = options.records(record => ring.push(record.subarray(0, EVENT_SIZE)))
  const context = {
    owner: (address: string) => names.find(address),
    interfaceOf: interfaces(tables, options.linkName),
    wallClockUs: wallClock(options.clocks),
  }
  const recordOf = (event: DataView): FlowRecord => {
    names.refresh()
    return toRecord(decodeEvent(event, 0), context)
  }
  async function newest({ last, filter, signal }: FlowQuery, end: number): Promise<FlowRecord[]> {
    const records: FlowRecord[] = []
    if (last === 0) return records
    for await (const event of ring.before(end, signal)) {
      const record = recordOf(event)
      if (filter(record) && records.push(record) === last) break
    }
    return records.reverse()
  }
  async function* read(query: FlowQuery): AsyncGenerator<FlowLine> {
    const end = ring.count
    yield* await newest(query, end)
    if (!query.follow) return
    for await (const item of ring.from(end, query.signal)) {
      if ('lost' in item) yield item
      else {
        const record = recordOf(item.event)
        if (query.filter(record)) yield record
      }
    }
  }
  return {
    read,
    [Symbol.dispose]() {
      source[Symbol.dispose]()
      clearInterval(refreshing)
      names[Symbol.dispose]()
    },
  }
}
