/** Builds the ways of ways-out.ts around a lab's wires: two nodes of the project, the peers, and the host outside. */
import { builtProject, PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, mustRun } from '../../../deploy/lab/command.ts'
import { nodeManifest, writeManifest } from '../../../deploy/lab/configuration.ts'
import {
  bare,
  type LabLayout,
  type NodeLayout,
  nodeLayouts,
  podLayout,
  PROBE_PORT,
} from '../../../deploy/lab/layout.ts'
import { addNamespace } from '../../../deploy/lab/namespaces.ts'
import { prepareNode, startDaemon, startProbe } from '../../../deploy/lab/node.ts'
import { nodeRuntime, startPod } from '../../../deploy/lab/pod.ts'
import { familyOf } from '../../../deploy/lab/state.ts'
import { together } from '../../../deploy/lab/together.ts'
import { layWires } from '../../../deploy/lab/up.ts'
import type { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import type { Route } from '../../../daemon/kernel/kernel.ts'
import {
  OWN,
  type PeerWay,
  PEERS,
  peerNode,
  peerPod,
  peerPods,
  planPeer,
  RULES,
  WAYS_OUT,
  type WayOut,
} from './ways-out.ts'

/** Flows that each node has room for from the start: most of ours by default, and of Linux where there is memory enough. */
const ROOM = 262_144
const CONFIGURATION = [`datapath.conntrack.initialEntries=${ROOM}`]
const OFF = 'masquerade={ipv4: false, ipv6: false, otherProtocols: drop}'
const LIMIT = 'net.netfilter.nf_conntrack_max'

/** nsfs paths and addresses. */
export interface WaysOut {
  readonly outside: { readonly netns: string; readonly address: string }
  /** The node of ours that masquerades. */
  readonly node: string
  readonly pods: Readonly<Record<WayOut, readonly Pod[]>>
}

export interface Pod {
  readonly netns: string
  readonly address: string
}

/** `pods` is their number on each way. Rejects when a pod is not seen outside as it is meant to. */
export async function layWaysOut(
  layout: LabLayout,
  pods: number,
  kernel: LinuxKernel,
  signal: AbortSignal,
): Promise<WaysOut> {
  const nodes = nodeLayouts(layout, { nodes: OWN.length })
  const [masquerade = [], off = []] = await startNodes(layout, nodes, { pods, kernel, signal })
  using net = kernel.openNet(masquerade[0]?.netns ?? '')
  const mtu = net.link('eth0')?.mtu ?? Number.NaN
  const peers = await together(PEERS.map(way => makePeer(layout, way, { pods, mtu, kernel })))
  const [routed = [], iptables = [], nft = []] = peers
  const places: Readonly<Record<WayOut, readonly Pod[]>> = { masquerade, off, routed, iptables, nft }
  routeBack(layout, nodes, kernel)
  await startProbe(layout, layout.outside, builtProject(), signal)
  const outside = { netns: layout.outside.netns, address: first4(layout.outside.addresses.map(bare)) }
  const [node] = nodes
  if (node === undefined) throw new Error('a lab without a node')
  const seenAs: Readonly<Partial<Record<WayOut, string>>> = {
    masquerade: first4(node.addresses.map(bare)),
    iptables: peerNode('iptables'),
    nft: peerNode('nft'),
  }
  for (const way of WAYS_OUT)
    for (const pod of places[way]) await isSeen(pod, outside.address, seenAs[way] ?? pod.address, signal)
  return { outside, node: node.netns, pods: places }
}

interface Making {
  readonly pods: number
  readonly kernel: LinuxKernel
}

async function startNodes(
  layout: LabLayout,
  nodes: readonly NodeLayout[],
  { pods, kernel, signal }: Making & { readonly signal: AbortSignal },
): Promise<Pod[][]> {
  const built = builtProject()
  await layWires(layout, nodes, kernel)
  for (const node of nodes) writeManifest(layout, node.name, nodeManifest(node))
  return await together(
    nodes.map(async (node, i) => {
      await prepareNode(layout, node, built, { set: [...CONFIGURATION, ...(OWN[i] === 'off' ? [OFF] : [])] })
      await startDaemon(layout, node, built, signal)
      const runtime = nodeRuntime(layout, node, signal)
      const layouts = Array.from({ length: pods }, (_, pod) => podLayout(layout, node, pod))
      return await together(
        layouts.map(async pod => {
          const addresses = await startPod(layout, pod, runtime, netns => kernel.openNet(netns))
          return { netns: pod.netns, address: first4(addresses) }
        }),
      )
    }),
  )
}

async function makePeer(
  layout: LabLayout,
  way: PeerWay,
  { pods, mtu, kernel }: Making & { readonly mtu: number },
): Promise<Pod[]> {
  const make = async (part: string): Promise<string> => {
    await addNamespace(`${layout.netnsPrefix}${part}`)
    return `/run/netns/${layout.netnsPrefix}${part}`
  }
  const node = await make(way)
  const own: Pod[] = []
  for (let i = 0; i < pods; i++) own.push({ netns: await make(`${way}-${i}`), address: peerPod(way, i) })
  kernel.setSysctl('net.ipv4.ip_forward', '1', node)
  const places = { underlay: layout.underlay.netns, node, pods: own.map(pod => pod.netns) }
  for (const { netns, requests } of planPeer(way, places, mtu)) {
    using net = kernel.openNet(netns)
    net.run(requests)
  }
  if (way !== 'routed') {
    const [program, input] = RULES[way]
    await mustRun(inNamespace(node, program), { input })
    checkRoom(kernel, node)
  }
  return own
}

/** The limit is the machine's, and not a bench's to change. */
function checkRoom(kernel: LinuxKernel, netns: string): void {
  const limit = kernel.sysctl(LIMIT, netns)
  if (Number(limit) < ROOM) throw new Error(`${LIMIT} is ${limit}, and the flows need ${ROOM}`)
}

/** The host outside knows the pods of the ways on which they keep their addresses, and no others. */
function routeBack(layout: LabLayout, nodes: readonly NodeLayout[], kernel: LinuxKernel): void {
  const off = nodes[OWN.indexOf('off')]
  const routes: Route[] = [{ dst: peerPods('routed'), via: peerNode('routed') }]
  if (off !== undefined) routes.push({ dst: first4(off.podCidrs), via: first4(off.addresses.map(bare)) })
  using net = kernel.openNet(layout.outside.netns)
  net.run(routes.map(route => ({ op: 'route-add', route })))
}

function first4(addresses: readonly string[]): string {
  const found = addresses.find(address => familyOf(address) === 4)
  if (found === undefined) throw new Error(`no IPv4 address among ${addresses.join(', ')}`)
  return found
}

/** Rejects when the host outside does not see the pod with that address. */
async function isSeen(pod: Pod, outside: string, address: string, signal: AbortSignal): Promise<void> {
  const check = inNamespace(pod.netns, [PROBE, 'check', 'who', outside, `${PROBE_PORT + 3}`, '1'])
  const { clients } = JSON.parse(await mustRun(check, { signal })) as { readonly clients: readonly string[] }
  if (clients[0] !== address) throw new Error(`${pod.netns} is seen as ${clients[0]}, not ${address}`)
}
