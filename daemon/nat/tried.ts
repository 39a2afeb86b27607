/** Where a port was looked for in vain. Pure. */
import { familyOf, toMapped16 } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import { frontendKey } from '../service/frontends.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { EgressRow } from '../state/tables.ts'
import type { Refused, Tried } from './exhaustion.ts'
import type { HeldPorts } from './held-ports.ts'
import { type PortUsage, roomOf, WayPorts } from './port-usage.ts'
import { wayText } from './way.ts'

export interface TriedFacts {
  readonly usage: PortUsage
  readonly held: HeldPorts
  readonly egress: readonly EgressRow[]
  readonly frontend: (key: string) => FrontendRow | undefined
}

/**
 * The addresses that a flow might have left with, and their ports towards where it would have gone. None when it was for a
 * service that nobody outside serves: then no port was missing here.
 */
export function triedFor(refused: Refused, facts: TriedFacts): readonly Tried[] {
  const service = serviceOf(refused, facts)
  if (service === undefined) return triedTowards(refused.destination, refused.destinationPort, refused, facts)
  return service.backends.flatMap(({ address, port }) =>
    triedTowards(address, port, refused, facts).filter(({ used }) => used > 0),
  )
}

function serviceOf({ destination, destinationPort, protocol }: Refused, { frontend }: TriedFacts) {
  const name = (['TCP', 'UDP', 'SCTP'] as const).find(each => PROTOCOL_NUMBERS[each] === protocol)
  if (name === undefined) return undefined
  return frontend(frontendKey({ protocol: name, address: destination, port: destinationPort, scope: 'inside' }))
}

/** Where several devices lead out, those of the addresses that others go there with. */
function triedTowards(to: Address, port: number, { protocol }: Refused, facts: TriedFacts): readonly Tried[] {
  const rows = facts.egress
    .filter(({ family }) => family === familyOf(to))
    .map(({ addresses }) => addresses.map(egress => triedAt(egress, { to, port, protocol }, facts)))
  const busy = rows.filter(row => row.some(({ used }) => used > 0))
  const all = (busy.length > 0 ? busy : rows).flat()
  return [...new Map(all.map(tried => [tried.egressAddress, tried])).values()]
}

function triedAt(
  egressAddress: Address,
  { to, port, protocol }: { readonly to: Address; readonly port: number; readonly protocol: number },
  { usage, held }: TriedFacts,
): Tried {
  const way = wayText(toMapped16(egressAddress), toMapped16(to), port, protocol)
  const ports = usage.ways.get(way) ?? new WayPorts()
  return { egressAddress, used: ports.used, total: roomOf(protocol, ports, held.count(way)).total }
}
