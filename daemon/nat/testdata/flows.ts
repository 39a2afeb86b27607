/** Flows and sockets as text: `TCP 10.1.0.2:40000 as 192.0.2.7:40001 to 198.51.100.9:443`. */
import type { EgressFlow } from '../../datapath/egress-flows.ts'
import { PROTOCOL_NAMES } from '../../flow/record.ts'
import { toMapped16 } from '../../kernel/ip.ts'
import type { BoundSocket } from '../../kernel/netlink/sock-diag.ts'

/** A flow that began at the moment 0. */
export function flow(text: string, state: EgressFlow['state'] = 'established'): EgressFlow {
  const [protocol = '', pod, , egress, , destination] = text.split(' ')
  const [number] = Object.entries(PROTOCOL_NAMES).find(([, name]) => name === protocol) ?? [protocol]
  const [from, as, to] = [end(pod), end(egress), end(destination)]
  return {
    protocol: Number(number),
    pod: from.address,
    podPort: from.port,
    egress: as.address,
    egressPort: as.port,
    destination: to.address,
    destinationPort: to.port,
    state,
    created: 0n,
  }
}

/** So many flows from one port on, and the next ones. */
export function flows(count: number, pod: string, egress: string, to: string, first = 40_000): EgressFlow[] {
  return Array.from({ length: count }, (_, i) => {
    const [address, port] = [socket(pod, first + i), socket(egress, first + i)]
    return flow(`TCP ${address} as ${port} to ${to}`)
  })
}

/** `TCP 192.0.2.7:8080`, `UDP [::]:53 only`, `TCP 192.0.2.7:50000 to 198.51.100.9:443`. */
export function bound(text: string): BoundSocket {
  const [protocol, local, , remote] = text.replace(' only', '').split(' ')
  const [here, there] = [end(local), end(remote ?? (local?.startsWith('[') ? '[::]:0' : '0.0.0.0:0'))]
  return {
    protocol: protocol === 'UDP' ? 'UDP' : 'TCP',
    local: here.address,
    localPort: here.port,
    remote: there.address,
    remotePort: there.port,
    onlyIpv6: text.endsWith(' only'),
  }
}

function socket(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function end(text = ''): { readonly address: Uint8Array; readonly port: number } {
  const { groups } = /^(?:\[(?<six>.*)\]|(?<four>[^:]*)):(?<port>\d+)$/.exec(text) ?? {}
  return { address: toMapped16(groups?.['six'] ?? groups?.['four'] ?? ''), port: Number(groups?.['port']) }
}
