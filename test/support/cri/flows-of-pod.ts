/** What the datapath's connection tracking holds about a pod. */
import { join } from 'node:path'
import { CtFlags, ctKeyLayout, ctValueLayout } from '../../../daemon/datapath/shared.gen.ts'
import { codec } from '../../../daemon/kernel/bpf/layout.ts'
import { mapFromPin } from '../../../daemon/kernel/bpf/map.ts'
import { fromMapped16 } from '../../../daemon/kernel/ip.ts'
import type { Address } from '../../../daemon/kernel/kernel.ts'
import type { NodeLayout } from '../../../deploy/lab/layout.ts'

export interface PodFlow {
  /** The other end. */
  readonly peer: Address
  readonly peerPort: number
  /** It entered the pod through the host's stack. */
  readonly viaStack: boolean
}

/** TCP and UDP flows at a port of the pod, living and ended ones, from the map that the node's programs use. */
export function flowsOfPod(node: NodeLayout, address: Address, port: number): PodFlow[] {
  using map = mapFromPin(join(node.paths.bpf, 'maps/conntrack_v1'), codec(ctKeyLayout, ctValueLayout))
  return [...(map?.entries() ?? [])].flatMap(([key, { flags }]) => {
    const ends = [
      { address: fromMapped16(key.a), port: key.portA },
      { address: fromMapped16(key.b), port: key.portB },
    ]
    const own = ends.findIndex(end => end.address === address && end.port === port)
    const peer = ends[1 - own]
    if (own < 0 || peer === undefined) return []
    return [{ peer: peer.address, peerPort: peer.port, viaStack: (flags & CtFlags.CT_VIA_STACK) !== 0 }]
  })
}
