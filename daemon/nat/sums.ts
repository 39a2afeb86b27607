/** Sums over the ways of flows: by address of the node, and by pod. Pure. */
import type { Address } from '../kernel/kernel.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import type { EgressRow } from '../state/tables.ts'
import type { HeldPorts } from './held-ports.ts'
import type { PodNames } from './pod-names.ts'
import { PORTS, roomOf, type WayPorts } from './port-usage.ts'
import { hasPorts } from './protocols.ts'
import { Top } from './top.ts'
import { addressOf, egressText, type NatWay, natWay, protocolOf, textOfAddress } from './way.ts'

/** The first of many. */
export interface Listed<T> {
  readonly total: number
  readonly list: readonly T[]
}

export interface PodUsage {
  /** `namespace/name`; the address of one that is not known. */
  readonly pod: string
  readonly mappings: number
  readonly destinations: number
  /** Where it uses most ports. */
  readonly most: NatWay & { readonly used: number }
}

export interface AddressUsage {
  readonly egressAddress: Address
  /** That new flows leave by with it; none for one that only flows have which were open before. */
  readonly devices: readonly string[]
  readonly mappings: number
  readonly destinations: number
  /** Ports left for the destination that has least, protocols without ports aside. */
  readonly headroom: number
  /** That destination; absent where nothing goes. */
  readonly fullest?: NatWay & { readonly used: number }
}

export class Addresses {
  readonly #held: HeldPorts
  readonly #sums = new Map<string, AddressSum>()

  constructor(held: HeldPorts, egress: readonly EgressRow[]) {
    this.#held = held
    for (const { device, addresses } of egress)
      for (const address of addresses) this.#of(textOfAddress(address)).devices.push(device)
  }

  add(text: string, ports: WayPorts): void {
    const sum = this.#of(egressText(text))
    sum.mappings += ports.used
    sum.destinations++
    if (!hasPorts(protocolOf(text))) return
    const { free } = roomOf(protocolOf(text), ports, this.#held.count(text))
    if (sum.fullest === undefined || free < sum.headroom) {
      sum.headroom = free
      sum.fullest = { text, used: ports.used }
    }
  }

  list(): AddressUsage[] {
    return [...this.#sums].map(([address, { fullest, ...sum }]) => ({
      egressAddress: addressOf(address),
      ...sum,
      ...(fullest && { fullest: { ...natWay(fullest.text), used: fullest.used } }),
    }))
  }

  #of(address: string): AddressSum {
    const known = this.#sums.get(address)
    if (known !== undefined) return known
    const headroom = PORTS - this.#held.countAt(address, PROTOCOL_NUMBERS.TCP)
    const sum: AddressSum = { devices: [], mappings: 0, destinations: 0, headroom, fullest: undefined }
    this.#sums.set(address, sum)
    return sum
  }
}

interface AddressSum {
  readonly devices: string[]
  mappings: number
  destinations: number
  headroom: number
  fullest: { readonly text: string; readonly used: number } | undefined
}

/** A pod is one, whatever addresses it has. */
export class Pods {
  readonly #nameOf: PodNames
  readonly #sums = new Map<string, PodSum>()

  constructor(nameOf: PodNames) {
    this.#nameOf = nameOf
  }

  add(address: string, way: string, used: number): void {
    const pod = this.#nameOf(address)
    const sum = this.#sums.get(pod) ?? { mappings: 0, destinations: 0, most: way, used: 0 }
    this.#sums.set(pod, sum)
    sum.mappings += used
    sum.destinations++
    if (used <= sum.used) return
    sum.most = way
    sum.used = used
  }

  listed(most: number): Listed<PodUsage> {
    const top = new Top<readonly [pod: string, sum: PodSum]>(most)
    for (const entry of this.#sums) top.offer(entry[1].mappings, entry)
    const list = top.list().map(([pod, { mappings, destinations, most: way, used }]) => {
      return { pod, mappings, destinations, most: { ...natWay(way), used } }
    })
    return { total: top.offered, list }
  }
}

interface PodSum {
  mappings: number
  destinations: number
  most: string
  used: number
}
