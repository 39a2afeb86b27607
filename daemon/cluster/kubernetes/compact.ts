/**
 * Rows as they are kept from a cluster of thousands of nodes: what many have in common is kept once. Text that comes out
 * of JSON is a new string each time, and a row that outlives its text would keep it.
 */
import type { EndpointSliceRow, ServiceRow, SliceEndpoint } from '../../state/service-rows.ts'
import type { NodeObject } from '../join-node.ts'

/** What is only an object's history, and often the longest part of it. */
const NOT_KEPT = ['kubectl.kubernetes.io/last-applied-configuration']
/** Beyond so many texts most must be of objects that are gone. */
const MOST_TEXTS = 200_000

export class Compactor {
  readonly #texts = new Map<string, string>()
  readonly #none: readonly never[] = Object.freeze([])

  node(row: NodeObject): NodeObject {
    return { ...row, name: this.#text(row.name), labels: this.#record(Object.entries(row.labels)) }
  }

  service(row: ServiceRow): ServiceRow {
    const annotations = Object.entries(row.annotations).filter(([key]) => !NOT_KEPT.includes(key))
    return {
      ...row,
      namespace: this.#text(row.namespace),
      externalIPs: this.#list(row.externalIPs),
      loadBalancerIPs: this.#list(row.loadBalancerIPs),
      sourceRanges: this.#list(row.sourceRanges),
      annotations: this.#record(annotations),
    }
  }

  endpointSlice(row: EndpointSliceRow): EndpointSliceRow {
    return {
      ...row,
      namespace: this.#text(row.namespace),
      service: this.#text(row.service),
      endpoints: row.endpoints.map(endpoint => this.#endpoint(endpoint)),
    }
  }

  /** Member by member, for there are many of them. */
  #endpoint({
    address,
    ready,
    serving,
    terminating,
    nodeName,
    zone,
    hintZones,
    hintNodes,
  }: SliceEndpoint): SliceEndpoint {
    return {
      address,
      ready,
      serving,
      terminating,
      nodeName: this.#text(nodeName),
      zone: this.#text(zone),
      hintZones: this.#known(hintZones),
      hintNodes: this.#known(hintNodes),
    }
  }

  /** Names, of which most lists are empty. */
  #known(names: readonly string[]): readonly string[] {
    return names.length === 0 ? this.#none : names.map(name => this.#text(name))
  }

  #list<T>(list: readonly T[]): readonly T[] {
    return list.length === 0 ? this.#none : list
  }

  #record(entries: readonly (readonly [string, string])[]): Readonly<Record<string, string>> {
    return Object.fromEntries(entries.map(([key, value]) => [this.#text(key), this.#text(value)]))
  }

  #text(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= MOST_TEXTS) this.#texts.clear()
    this.#texts.set(text, text)
    return text
  }
}
