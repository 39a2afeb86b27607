/**
 * Addresses that belong to services alone: at any other port of theirs nobody is, so the programs drop what goes there. One
 * entry of the map `services` each, with port and protocol 0, for as long as a service has the address.
 */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import { joined } from '../kernel/joined.ts'
import type { Address, BpfMap } from '../kernel/kernel.ts'
import type { ServiceKey, ServiceValue } from './shared.gen.ts'

/** A service that nobody serves. */
export const EMPTY_SERVICE: ServiceValue = {
  id: 0,
  count: 0,
  affinitySeconds: 0,
  flags: 0,
  table: 0,
  tableSize: 0,
  tableSignature: 0n,
}

/** A service, as far as it matters here. */
interface Place {
  readonly address: Address
  readonly scope: ServiceKey['scope']
}

export class ServiceAddresses {
  readonly #map: () => BpfMap<ServiceKey, ServiceValue>
  /** How many services have each address, by its entry's text. */
  #users = new Map<string, number>()

  constructor(map: () => BpfMap<ServiceKey, ServiceValue>) {
    this.#map = map
  }

  /** Starts anew from services that the map holds. */
  read(services: Iterable<Place>): void {
    this.#users = new Map()
    for (const service of services) this.#count(service, 1)
  }

  /** After these services have gone from the map, and these come. */
  change(gone: readonly Place[], come: readonly Place[]): void {
    const touched = new Map([...gone, ...come].map(service => [textOf(service), service]))
    const before = new Set([...touched.keys()].filter(text => this.#users.has(text)))
    for (const service of come) this.#count(service, 1)
    for (const service of gone) this.#count(service, -1)
    const fresh = [...touched].filter(([text]) => this.#users.has(text) && !before.has(text))
    const lost = [...touched].filter(([text]) => !this.#users.has(text) && before.has(text))
    this.#map().updateBatch(fresh.map(([, service]) => [keyOf(service), EMPTY_SERVICE] as const))
    this.#map().deleteBatch(lost.map(([, service]) => keyOf(service)))
  }

  /** Makes the map hold what it should, whatever somebody else did to it. Returns how many entries it took. */
  repair(services: Iterable<Place>): number {
    this.read(services)
    const wanted = new Map([...services].map(service => [textOf(service), keyOf(service)]))
    const surplus: ServiceKey[] = []
    for (const [key] of this.#map().entries()) if (isAddress(key) && !wanted.delete(textOfKey(key))) surplus.push(key)
    this.#map().updateBatch([...wanted.values()].map(key => [key, EMPTY_SERVICE] as const))
    this.#map().deleteBatch(surplus)
    return surplus.length + wanted.size
  }

  #count(service: Place, by: 1 | -1): void {
    const text = textOf(service)
    const users = (this.#users.get(text) ?? 0) + by
    if (users > 0) this.#users.set(text, users)
    else this.#users.delete(text)
  }
}

/** An entry for an address, not for a service. */
export function isAddress({ port, protocol }: ServiceKey): boolean {
  return port === 0 && protocol === 0
}

function keyOf({ address, scope }: Place): ServiceKey {
  return { address: toMapped16(address), port: 0, protocol: 0, scope }
}

function textOf({ address, scope }: Place): string {
  return joined(address, ' ', scope)
}

function textOfKey({ address, scope }: ServiceKey): string {
  return textOf({ address: fromMapped16(address), scope })
}
