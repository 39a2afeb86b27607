/** Flows of this node: takes the datapath's events in, gives flow records out. */
import { EVENT_SIZE, decodeEvent } from '../datapath/shared.gen.ts'
import type { Tables } from '../state/tables.ts'
import { EventRing } from './event-ring.ts'
import type { FlowFilter } from './filter.ts'
import { interfaces } from './interfaces.ts'
import { Names } from './names.ts'
import { type FlowRecord, toRecord } from './record.ts'
import { type ReadClocks, wallClock } from './wall-clock.ts'

/** A line of `GET /v1/flows`: a record, or how many were lost before the next one because the reader was slow. */
export type FlowLine = FlowRecord | { readonly lost: number }

export interface FlowsOptions {
  /** Calls the handler for each record of the ring buffer, whose bytes are valid during the call only. */
  readonly records: (handler: (record: Uint8Array) => void) => Disposable
  readonly tables: Pick<Tables, 'endpoints' | 'pods' | 'hostAddresses' | 'nodes' | 'uplinks'>
  readonly nodeName: string
  /** Events kept for those who ask later. */
  readonly keep?: number
  readonly clocks?: ReadClocks
}

export interface FlowQuery {
  /** How many of the kept events are looked at first. */
  readonly last: number
  /** Goes on with those that come until the signal aborts. */
  readonly follow: boolean
  readonly filter: FlowFilter
  readonly signal: AbortSignal
}

export interface Flows extends Disposable {
  /** Events seen since the start. */
  readonly seen: number
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
    interfaceOf: interfaces(tables),
    wallClockUs: wallClock(options.clocks),
  }
  async function* read({ last, follow, filter, signal }: FlowQuery): AsyncGenerator<FlowLine> {
    for await (const item of ring.read({ last, follow, signal })) {
      if ('lost' in item) {
        yield item
        continue
      }
      names.refresh()
      const record = toRecord(decodeEvent(item.event, 0), context)
      if (filter(record)) yield record
    }
  }
  return {
    get seen() {
      return ring.count
    },
    read,
    [Symbol.dispose]() {
      source[Symbol.dispose]()
      clearInterval(refreshing)
      names[Symbol.dispose]()
    },
  }
}
