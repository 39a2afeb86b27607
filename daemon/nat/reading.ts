/** Reads who has which ports, from the maps and the kernel. */
import type { EgressFlow } from '../datapath/egress-flows.ts'
import type { BoundSocket } from '../kernel/netlink/sock-diag.ts'
import type { EgressRow } from '../state/tables.ts'
import { HeldPorts } from './held-ports.ts'
import { PortUsage } from './port-usage.ts'
import type { NatReading } from './report.ts'
import { Top } from './top.ts'
import { addressText, textOfAddress } from './way.ts'

export interface NatSources {
  /** Calls for each flow that lives, and resolves after the last. */
  readonly flows: (visit: (flow: EgressFlow) => void) => Promise<void>
  /** Of the namespace whose addresses pods' flows leave with. */
  readonly sockets: () => AsyncIterable<BoundSocket>
  readonly egress: () => readonly EgressRow[]
}

export interface Wanted {
  /** How many flows are kept, the newest. */
  readonly mappings: number
  /** Texts of addresses of the pods whose flows these are; absent for all. */
  readonly pods?: ReadonlySet<string>
}

/** One look at everything, in turns of the event loop: its cost goes by the number of flows and of the node's sockets. */
export async function readNat({ flows, sockets, egress }: NatSources, wanted: Wanted): Promise<NatReading> {
  const usage = new PortUsage()
  const newest = new Top<EgressFlow>(wanted.mappings)
  await flows(flow => {
    usage.add(flow)
    if (wanted.pods?.has(addressText(flow.pod)) ?? true) newest.offer(Number(flow.created), flow)
  })
  const given = new Set(egress().flatMap(row => row.addresses.map(textOfAddress)))
  // Flows may be open with addresses that new ones are not given any more.
  const held = new HeldPorts(address => given.has(address) || usage.addresses.has(address))
  for await (const socket of sockets()) held.add(socket)
  return { usage, held, newest, now: process.hrtime.bigint() }
}
