/** What the nodes' daemons record while the matrix runs. */
import { setTimeout as delay } from 'node:timers/promises'
import type { FlowRecord } from '../../daemon/flow/record.ts'
import { follow } from './api.ts'
import type { NodeLayout } from './layout.ts'

/** A record and the node whose daemon gave it. */
export interface SeenFlow {
  readonly node: string
  readonly record: FlowRecord
}

/** What a check was between, and when, in Unix time. */
export interface Exchange {
  readonly source: string
  readonly destination: string
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** Of the sender; undefined for ICMP, whose records are told apart by time. */
  readonly port: number | undefined
  readonly startedMs: number
  readonly endedMs: number
}

const POLL_MS = 25
const SETTLE_TIMEOUT_MS = 2000
/** Records convert the kernel's monotonic clock to wall-clock time; that is good to about 2 ms. */
const CLOCK_SLACK_MS = 5

export class FlowWatch implements Disposable {
  readonly #stop = new AbortController()
  readonly #seen: SeenFlow[] = []

  /** Follows the flows of all nodes until disposed. A daemon that cannot be asked has none. */
  static async start(nodes: readonly NodeLayout[], signal: AbortSignal): Promise<FlowWatch> {
    const watch = new FlowWatch()
    const stop = AbortSignal.any([signal, watch.#stop.signal])
    const take = (node: NodeLayout) => (line: unknown) => watch.#take(node.name, line)
    await Promise.all(nodes.map(n => follow(n.socket, '/v1/flows?follow=1', stop, take(n)).catch(() => undefined)))
    return watch
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  /**
   * The records of each exchange, both directions, in the order they came; no record belongs to two. Records arrive some
   * milliseconds after their packets: waits, not for ever, until each exchange that should have some does.
   */
  async settle<E extends Exchange>(
    exchanges: readonly E[],
    hasRecords: (exchange: E) => boolean,
    signal: AbortSignal,
  ): Promise<Map<E, SeenFlow[]>> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS
    for (;;) {
      await delay(POLL_MS, undefined, { signal })
      const assigned = this.#assign(exchanges)
      const missing = exchanges.some(e => hasRecords(e) && (assigned.get(e) ?? []).length < 2)
      if (!missing || performance.now() > deadline) return assigned
    }
  }

  #assign<E extends Exchange>(exchanges: readonly E[]): Map<E, SeenFlow[]> {
    const assigned = new Map<E, SeenFlow[]>(exchanges.map(e => [e, []]))
    const byEnds = Map.groupBy(exchanges, e => endsKey(e.source, e.destination))
    for (const seen of this.#seen) {
      const { source, destination } = seen.record
      const candidates = byEnds.get(endsKey(source.address ?? '', destination.address ?? '')) ?? []
      const exchange = nearest(seen.record, candidates)
      if (exchange !== undefined) assigned.get(exchange)?.push(seen)
    }
    return assigned
  }

  #take(node: string, line: unknown): void {
    const record = line as FlowRecord | { readonly lost: number }
    if (!('lost' in record)) this.#seen.push({ node, record })
  }
}

function endsKey(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}

/** The exchange of the record's protocol and port, or for want of a port the nearest in time. */
function nearest<E extends Exchange>(record: FlowRecord, candidates: readonly E[]): E | undefined {
  const protocol = record.protocol.toLowerCase()
  const ports = [record.source.port, record.destination.port]
  const fitting = candidates.filter(e => protocol.startsWith(e.protocol))
  const byPort = fitting.find(e => e.port !== undefined && ports.includes(e.port))
  if (byPort !== undefined) return byPort
  const time = Date.parse(record.time)
  const distance = (e: E): number => Math.max(e.startedMs - time, time - e.endedMs, 0)
  return fitting
    .filter(e => e.port === undefined && distance(e) <= CLOCK_SLACK_MS)
    .reduce<E | undefined>((best, e) => (best === undefined || distance(e) < distance(best) ? e : best), undefined)
}

/** For people: what the datapath did with the packet, and what to do about it. */
export function flowText({ node, record }: SeenFlow): string {
  const name = (end: FlowRecord['source']): string => `${end.pod ?? end.node ?? end.address}:${end.port ?? ''}`
  const what = `${node} ${record.hook}: ${record.verdict} ${name(record.source)} → ${name(record.destination)}`
  if (record.reason === undefined) return `${what} ${record.moment ?? ''}`.trimEnd()
  return `${what}: ${record.reason.name}: ${record.reason.text} ${record.reason.whatToDo}`
}
