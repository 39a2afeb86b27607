/**
 * Ways by which pods reach the host outside, all over the same wires: pod, node, underlay, that host.
 *
 *   masquerade, off
 *           a node of this project, and one whose pods keep their addresses
 *   routed  a namespace that routes; its pods keep their addresses
 *   iptables, nft
 *           a namespace that routes and masquerades
 */
import type { NetRequest } from '../../../daemon/kernel/kernel.ts'
import type { WireStep } from './wires.ts'

/** Of this project; node 1 of the lab and node 2. */
export const OWN = ['masquerade', 'off'] as const
/** Namespaces in the place of a node. */
export const PEERS = ['routed', 'iptables', 'nft'] as const
export const WAYS_OUT = [...OWN, ...PEERS] as const
export type WayOut = (typeof WAYS_OUT)[number]
export type PeerWay = (typeof PEERS)[number]

/** What a node that masquerades takes the place of; the others' pods must be known outside. */
export const MASQUERADING = ['masquerade', 'iptables', 'nft'] as const
export type Masquerading = (typeof MASQUERADING)[number]

/** nsfs paths of what a peer is made of, and the lab's that it is joined to. */
export interface PeerPlaces {
  readonly underlay: string
  readonly node: string
  readonly pods: readonly string[]
}

/** Of every pod and node towards the underlay, as in the lab. */
const DEVICE = 'eth0'

/** A peer's address on the underlay: beside the lab's nodes, which count from 1, and below its host outside. */
export function peerNode(way: PeerWay): string {
  return `172.30.0.${200 + PEERS.indexOf(way)}`
}

export function peerPod(way: PeerWay, pod: number): string {
  return `${podNetwork(way, pod)}.2`
}

/** The prefix of all pods of a peer. */
export function peerPods(way: PeerWay): string {
  return `10.${210 + PEERS.indexOf(way)}.0.0/16`
}

function podNetwork(way: PeerWay, pod: number): string {
  return peerPods(way).replace('0.0/16', `${pod}`)
}

/** Pure: the steps that turn empty namespaces into a peer. Routing must be switched on in its node. */
export function planPeer(way: PeerWay, { underlay, node, pods }: PeerPlaces, mtu: number): WireStep[] {
  return [
    {
      netns: underlay,
      requests: [
        {
          op: 'link-add',
          link: { kind: 'veth', name: way, master: 'underlay', up: true, peer: { name: DEVICE, netns: node } },
        },
      ],
    },
    { netns: node, requests: up(`${peerNode(way)}/24`) },
    ...pods.flatMap((netns, pod): WireStep[] => {
      const [link, gateway] = [`pod${pod}`, `${podNetwork(way, pod)}.1`]
      return [
        {
          netns: node,
          requests: [
            { op: 'link-add', link: { kind: 'veth', name: link, mtu, up: true, peer: { name: DEVICE, mtu, netns } } },
            { op: 'address-add', link, address: `${gateway}/24` },
          ],
        },
        {
          netns,
          requests: [
            ...up(`${peerPod(way, pod)}/24`),
            { op: 'route-add', route: { dst: '0.0.0.0/0', via: gateway, link: DEVICE } },
          ],
        },
      ]
    }),
  ]
}

function up(address: string): NetRequest[] {
  return [
    { op: 'link-set', link: 'lo', up: true },
    { op: 'link-set', link: DEVICE, up: true },
    { op: 'address-add', link: DEVICE, address },
  ]
}

/** What makes a peer masquerade: a program that reads rules, and they. */
export const RULES: Readonly<Record<Exclude<Masquerading, 'masquerade'>, readonly [program: string[], rules: string]>> =
  {
    iptables: [['iptables-restore'], `*nat\n-A POSTROUTING -o ${DEVICE} -j MASQUERADE --random-fully\nCOMMIT\n`],
    nft: [
      ['nft', '-f', '-'],
      `table ip leaving {\nchain out { type nat hook postrouting priority srcnat; oifname "${DEVICE}" masquerade; }\n}\n`,
    ],
  }
