/** A node for whose pods its addresses stand outside the cluster. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { toMapped16, toMappedPrefix } from '../../daemon/kernel/ip.ts'
import { egressAddressLayout, egressKeyLayout, rangeKeyLayout } from '../../daemon/datapath/shared.gen.ts'
import type { Layer } from '../support/packet.ts'
import { icmp, icmpv6, sctp, tcp, udp } from '../support/packet-transport.ts'
import type { TestNode } from './node.ts'
import { A, type Both, FAMILIES, type Family, type PodFacts } from './world.ts'

/** In a range where pods' addresses are known. */
export const KNOWING: Both = { 4: '100.64.1.1', 6: '2001:db8:64::1' }
/** Another address of the node. */
export const SECOND: Both = { 4: '192.168.7.9', 6: 'fd00:7::9' }
export const uplink = ['uplink_in', 'uplink'] as const
export const away = (pod: PodFacts) => ['pod_out', pod === A ? 'a' : 'b'] as const

/** What pods' packets leave by the uplink with, and where they need not. */
export function giveAddresses(node: TestNode, ...given: readonly Both[]): void {
  using stack = new DisposableStack()
  const object = node.object('pod')
  const egress = stack.use(object.map('egress_addresses', codec(egressKeyLayout, egressAddressLayout)))
  for (const family of FAMILIES) {
    const key = { ifindex: node.devices.uplink, family: family === 4 ? 0 : 1 }
    for (const [index, address] of given.entries())
      egress.update({ ...key, index }, { address: toMapped16(address[family]), count: given.length })
  }
  const ranges = stack.use(object.map('native_ranges', codec(rangeKeyLayout, u32)))
  for (const prefix of ['100.64.0.0/16', '2001:db8:64::/48']) {
    const { bytes, length } = toMappedPrefix(prefix)
    ranges.update({ prefixLength: length, address: bytes }, 1)
  }
}

/** A socket in the node's namespace. */
export async function hold(
  node: TestNode,
  kind: 'udp' | 'tcp',
  address: string,
  port: number,
): Promise<AsyncDisposable> {
  const udp = `require('dgram').createSocket('udp${address.includes(':') ? 6 : 4}').bind(${port}, '${address}', told)`
  const tcp = `require('net').createServer().listen(${port}, '${address}', told)`
  const script = `const told = () => console.log('held'); ${kind === 'udp' ? udp : tcp}`
  const netns = node.netns.replace('/self/', `/${process.pid}/`)
  const child = spawn('nsenter', [`--net=${netns}`, '--', process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [held] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[]
  assert.equal(String(held), 'held\n')
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

export const echo = (f: Family, id: number, reply = false): Layer =>
  f === 4 ? icmp({ type: reply ? 0 : 8, id }) : icmpv6({ type: reply ? 129 : 128, id })

/** What pods send, what of it is told back, and at which port. */
export const KINDS: Readonly<Record<string, (f: Family, port: number, reply?: boolean) => Layer>> = {
  tcp: (_f, port, reply) =>
    reply ? tcp({ sport: 443, dport: port, flags: 'SA' }) : tcp({ sport: port, dport: 443, flags: 'S' }),
  udp: (_f, port, reply) => (reply ? udp({ sport: 53, dport: port }) : udp({ sport: port, dport: 53 })),
  sctp: (_f, port, reply) =>
    reply ? sctp({ sport: 5000, dport: port, summed: true }) : sctp({ sport: port, dport: 5000, summed: true }),
  echo: (f, id, reply) => echo(f, id, reply),
}
