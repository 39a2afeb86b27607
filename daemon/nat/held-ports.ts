/**
 * Ports that sockets of the node hold, which pods' flows are not given: what a socket would be sent the replies of
 * (bpf/lib/nat-port.h). Pure.
 */
import type { BoundSocket } from '../kernel/netlink/sock-diag.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import { FIRST_PORT } from './port-usage.ts'
import { addressText, egressText, protocolOf, wayText } from './way.ts'

const ANY4 = '\0'.repeat(10) + '\xff\xff\0\0\0\0'
const ANY6 = '\0'.repeat(16)
const MAPPED = ANY4.slice(0, 12)

export class HeldPorts {
  readonly #concerns: (egress: string) => boolean
  /** Of sockets that take packets from everybody, by protocol and address. */
  readonly #everywhere = new Map<string, Set<number>>()
  /** Of connected ones, by way. */
  readonly #towards = new Map<string, Set<number>>()
  /** Those that count for an address and protocol whatever the destination. */
  readonly #counting = new Map<string, ReadonlySet<number>>()

  /** Sockets at other addresses than these, given as texts (`addressText`), are left out. */
  constructor(concerns: (egress: string) => boolean) {
    this.#concerns = concerns
  }

  /** All sockets are added before one port is counted. */
  add({ protocol, local, localPort, remote, remotePort, onlyIpv6 }: BoundSocket): void {
    const at = addressText(local)
    const anywhere = at === ANY4 || at === ANY6
    if (localPort < FIRST_PORT || (!anywhere && !this.#concerns(at))) return
    const number = PROTOCOL_NUMBERS[protocol]
    if (remotePort !== 0) return put(this.#towards, wayText(local, remote, remotePort, number), localPort)
    put(this.#everywhere, `${number} ${at}`, localPort)
    // One of IPv6 at any address takes what comes by IPv4, too, unless it was told not to (ipv6(7), IPV6_V6ONLY).
    if (at === ANY6 && !onlyIpv6) put(this.#everywhere, `${number} ${ANY4}`, localPort)
  }

  /** How many are missing for flows of a way, given as text. */
  count(way: string): number {
    const always = this.#alwaysHeld(egressText(way), protocolOf(way))
    let more = 0
    for (const port of this.#towards.get(way) ?? []) if (!always.has(port)) more++
    return always.size + more
  }

  /** How many are missing at an address, given as text, for whatever destination. */
  countAt(egress: string, protocol: number): number {
    return this.#alwaysHeld(egress, protocol).size
  }

  #alwaysHeld(egress: string, protocol: number): ReadonlySet<number> {
    const key = `${protocol} ${egress}`
    const known = this.#counting.get(key)
    if (known !== undefined) return known
    const any = egress.startsWith(MAPPED) ? ANY4 : ANY6
    const held = new Set([...(this.#everywhere.get(key) ?? []), ...(this.#everywhere.get(`${protocol} ${any}`) ?? [])])
    this.#counting.set(key, held)
    return held
  }
}

function put(into: Map<string, Set<number>>, key: string, port: number): void {
  const ports = into.get(key)
  if (ports === undefined) into.set(key, new Set([port]))
  else ports.add(port)
}
