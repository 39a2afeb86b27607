/**
 * How many ports flows of pods have at an address of the node, by where they go: the same port serves different
 * destinations at once. Pure. What is counted is kept small, for there may be a destination for each flow.
 */
import type { EgressFlow } from '../datapath/egress-flows.ts'
import { hasPorts, isIcmp } from './protocols.ts'
import { addressText, egressText, wayText } from './way.ts'

/** Flows are given the ports from here on; a pod that sends from one below it keeps that. */
export const FIRST_PORT = 1024
/** Of an address towards one destination. */
export const PORTS = 65_536 - FIRST_PORT

export class PortUsage {
  readonly #ways = new Map<string, WayPorts>()
  readonly #addresses = new Set<string>()

  /** By the text of their ways, see way.ts. */
  get ways(): ReadonlyMap<string, WayPorts> {
    return this.#ways
  }

  /** The node's addresses that flows leave by, as texts. */
  get addresses(): ReadonlySet<string> {
    return this.#addresses
  }

  add({ egress, destination, destinationPort, protocol, egressPort, pod }: EgressFlow): void {
    const text = wayText(egress, destination, isIcmp(protocol) ? 0 : destinationPort, protocol)
    let ports = this.#ways.get(text)
    if (ports === undefined) {
      this.#ways.set(text, (ports = new WayPorts()))
      this.#addresses.add(egressText(text))
    }
    ports.add(addressText(pod), egressPort)
  }
}

/** The ports of one way, and whose they are. */
export class WayPorts {
  #used = 0
  #low = 0
  // Most ways have one pod only.
  #first: string | undefined
  #ofFirst = 0
  #others: Map<string, number> | undefined

  /** Flows, each of which has a port of its own, or all that there is where a protocol has no ports. */
  get used(): number {
    return this.#used
  }

  /** Those of them that none of the free ones is missing for. */
  get low(): number {
    return this.#low
  }

  /** Texts of pods' addresses with their flows. */
  *pods(): Generator<readonly [pod: string, used: number]> {
    if (this.#first !== undefined) yield [this.#first, this.#ofFirst]
    yield* this.#others ?? []
  }

  add(pod: string, port: number): void {
    this.#used++
    if (port < FIRST_PORT) this.#low++
    this.#first ??= pod
    if (pod === this.#first) this.#ofFirst++
    else {
      this.#others ??= new Map()
      this.#others.set(pod, (this.#others.get(pod) ?? 0) + 1)
    }
  }
}

/** Ports that there are, and those that are left, where sockets of the node hold so many. */
export function roomOf(protocol: number, { used, low }: WayPorts, held: number): { total: number; free: number } {
  // By address alone: one pod for each destination.
  if (!hasPorts(protocol)) return { total: 1, free: Math.max(0, 1 - used) }
  const total = PORTS - held
  return { total, free: Math.max(0, total - (used - low)) }
}
