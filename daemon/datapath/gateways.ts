/**
 * By which neighbour and device the node's own routes lead to other nodes, asked once for each address until routes change:
 * a cluster has thousands of nodes, and a plan is made whenever one of them changes.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Address, Net } from '../kernel/kernel.ts'
import { isOwnDevice } from './own-device.ts'

/** A route by it needs no other route to be accepted. */
export interface Gateway {
  /** The node itself where it is reached without a router. */
  readonly via: Address
  readonly link: string
  readonly onlink?: true
}

export class Gateways {
  readonly #net: Pick<Net, 'routeTo' | 'link'>
  #known = new Map<Address, Gateway | undefined>()
  /** Of the plan before the last `begin`. */
  #former = new Map<Address, Gateway | undefined>()
  #revision = 0

  constructor(net: Pick<Net, 'routeTo' | 'link'>) {
    this.#net = net
  }

  /** Another one each time an answer is another than before. */
  get revision(): number {
    return this.#revision
  }

  /** Begins a plan: what it does not ask for is forgotten. */
  begin(): void {
    this.#former = this.#known
    this.#known = new Map()
  }

  readonly to = (address: Address): Gateway | undefined => {
    if (!this.#known.has(address)) {
      const asked = this.#former.has(address)
      this.#known.set(address, asked ? this.#former.get(address) : this.#find(address))
    }
    return this.#known.get(address)
  }

  /** Asks the kernel anew for all that the last plan asked for; true when an answer is another. */
  look(): boolean {
    let changed = false
    for (const [address, before] of this.#known) {
      const now = this.#find(address)
      if (isDeepStrictEqual(now, before)) continue
      this.#known.set(address, now)
      changed = true
    }
    if (changed) this.#revision++
    return changed
  }

  /** Pods' own routes and those of the overlay lead to pods, not to nodes. */
  #find(address: Address): Gateway | undefined {
    const route = this.#net.routeTo(address)
    const link = route === undefined ? undefined : this.#net.link(route.link)
    if (route === undefined || link === undefined || link.loopback || isOwnDevice(link.name)) return undefined
    return { via: route.via ?? address, link: link.name, ...(route.onlink === true && { onlink: true }) }
  }
}
