/** What the nodes' daemons record while the matrix runs. */
import { setTimeout as delay } from 'node:timers/promises'
import { follow } from './api.ts'
import type { NodeLayout } from './layout.ts'
import type { Row } from './matrix.ts'

/** A flow or drop record as a daemon gave it, with what is needed to tell which row it belongs to. */
export interface FlowRecord {
  readonly node: string
  readonly record: unknown
  readonly dropped: boolean
  /** For people. */
  readonly text: string
}

/** Members of a record that are read here; see daemon/flow. */
interface Read {
  readonly timeNs: bigint
  readonly source: string
  readonly destination: string
  readonly protocol: string
}

const QUIET_MS = 100
const SETTLE_TIMEOUT_MS = 2000

export class FlowWatch implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #records: { readonly flow: FlowRecord; readonly read: Read }[] = []
  #lastArrival = performance.now()

  /** Follows the flows of all nodes. A daemon that cannot be asked has none. */
  static async start(nodes: readonly NodeLayout[], signal: AbortSignal): Promise<FlowWatch> {
    const watch = new FlowWatch()
    const stop = AbortSignal.any([signal, watch.#stop.signal])
    const take = (node: NodeLayout) => (line: unknown) => watch.#take(node.name, line)
    await Promise.all(nodes.map(n => follow(n.socket, '/v1/flows?follow=1', stop, take(n)).catch(() => undefined)))
    return watch
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
  }

  /** Records arrive some milliseconds after their packets: waits until there is quiet. */
  async settle(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS
    const quiet = (): boolean => performance.now() - this.#lastArrival > QUIET_MS
    while (!quiet() && performance.now() < deadline) await delay(QUIET_MS / 4, undefined, { signal })
  }

  /** Records of a row's two addresses and protocol within a stretch of the monotonic clock, in either direction. */
  between(row: Row, startedNs: bigint, endedNs: bigint): FlowRecord[] {
    const ends = new Set([row.source, row.address])
    const belongs = ({ timeNs, source, destination, protocol }: Read): boolean =>
      timeNs >= startedNs &&
      timeNs <= endedNs &&
      ends.has(source) &&
      ends.has(destination) &&
      protocol.toLowerCase().startsWith(row.protocol)
    return this.#records.filter(r => belongs(r.read)).map(r => r.flow)
  }

  #take(node: string, line: unknown): void {
    this.#lastArrival = performance.now()
    const parsed = readRecord(line)
    if (parsed === undefined) return
    const { dropped, text, ...read } = parsed
    this.#records.push({ flow: { node, record: line, dropped, text }, read })
  }
}

function readRecord(line: unknown): (Read & { readonly dropped: boolean; readonly text: string }) | undefined {
  if (typeof line !== 'object' || line === null) return undefined
  const record = line as Readonly<Record<string, unknown>>
  const text = (key: string): string => (typeof record[key] === 'string' ? record[key] : '')
  return {
    timeNs: BigInt(text('monotonicNs') || '0'),
    source: text('source'),
    destination: text('destination'),
    protocol: text('protocol'),
    dropped: text('kind') === 'drop',
    text: JSON.stringify(line),
  }
}
