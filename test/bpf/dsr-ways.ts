/** Packets between two nodes whose backends answer clients themselves, by each of the three ways. */
import { DsrDispatch } from '../../daemon/datapath/shared.gen.ts'
import { ipv4, ipv6, type Layer } from '../support/packet.ts'
import { askedOption4, askedOption6, geneve } from '../support/packet-tunnel.ts'
import { type Both, type Family, ip, OUTSIDE, VNI } from './world.ts'

export type Dispatch = 'option' | 'ipip' | 'geneve'
export const DISPATCHES: Readonly<Record<Dispatch, number>> = {
  option: DsrDispatch.DSR_OPTION,
  ipip: DsrDispatch.DSR_IPIP,
  geneve: DsrDispatch.DSR_GENEVE,
}

/** A way from a node to a pod. */
export interface Around {
  readonly from: Both
  readonly to: Both
  /** By Geneve. */
  readonly sport?: number
}
export interface Between extends Around {
  /** Of the packet that the client sent. */
  readonly hops?: number
  /** What the client speaks to. */
  readonly asked: Both
  readonly port: number
}

const IPIP = 4
const IPV6_IN_IPV6 = 41

/** A packet from the client OUTSIDE: `came` is its transport header as sent, `translated` as the pod is to get it. */
export function between(kind: Dispatch, f: Family, way: Between, came: Layer, translated: Layer): Layer[] {
  const { to, asked, port, hops = 63 } = way
  if (kind !== 'option') return [...around(kind, f, way), ip(f, OUTSIDE, asked, hops), came]
  if (f === 6) return [ip(6, OUTSIDE, to, hops), askedOption6(asked[6], port), translated]
  return [ipv4({ src: OUTSIDE[4], dst: to[4], ttl: hops, options: askedOption4(asked[4], port) }), translated]
}

/** What stands in front of a packet that is sent on as it came. */
export function around(kind: Exclude<Dispatch, 'option'>, f: Family, way: Around): Layer[] {
  const { from, to, sport = 50_000 } = way
  const next = kind === 'geneve' ? {} : { protocol: IPIP, next: IPV6_IN_IPV6 }
  const header =
    f === 4
      ? ipv4({ src: from[4], dst: to[4], ttl: 64, id: 0, dontFragment: true, ...next })
      : ipv6({ src: from[6], dst: to[6], hopLimit: 64, ...next })
  return kind === 'geneve' ? [header, geneve({ sport, vni: VNI })] : [header]
}
