/**
 * The pods' shared tc blocks: every pod's device is bound to one ingress and one egress block, so that replacing two
 * filters updates all pods at once. A block vanishes with its last device, and a block without a device takes no filter;
 * the anchor pair, which carries no traffic, keeps both alive from start to uninstall.
 */
import type { Net } from '../kernel/kernel.ts'
import { isOwnDevice } from './own-device.ts'

export const ANCHOR = 'cw-anchor0'
const ANCHOR_PEER = 'cw-anchor1'
/** tc priority of the project's filters on the blocks. */
const PRIORITY = 1

/** tc block indices: `ingress` sees packets from pods, `egress` packets to pods. */
export interface Blocks {
  readonly ingress: number
  readonly egress: number
}

/** Creates the anchor pair bound to both blocks. Throws when another tool's devices use one of the indices. */
export function ensureAnchor(net: Net, blocks: Blocks): void {
  refuseForeignUse(net, blocks)
  if (net.link(ANCHOR) === undefined) {
    net.run([
      {
        op: 'link-add',
        link: { kind: 'veth', name: ANCHOR, addrGenMode: 'none', peer: { name: ANCHOR_PEER, addrGenMode: 'none' } },
      },
    ])
  }
  const index = net.link(ANCHOR)?.index
  const bound = net.qdiscs().find(q => q.link === index && q.kind === 'clsact')
  if (bound?.ingressBlock === blocks.ingress && bound.egressBlock === blocks.egress) return
  if (bound !== undefined) net.run([{ op: 'clsact-delete', link: ANCHOR }])
  net.run([{ op: 'clsact-add', link: ANCHOR, ingressBlock: blocks.ingress, egressBlock: blocks.egress }])
}

/** Puts the two programs on the blocks, each in one atomic replacement. */
export function attachBlocks(
  net: Net,
  blocks: Blocks,
  programs: { readonly podOut: number; readonly podIn: number },
): void {
  net.run([
    {
      op: 'filter-replace',
      at: { block: blocks.ingress },
      priority: PRIORITY,
      programFd: programs.podOut,
      name: 'pod_out',
    },
    {
      op: 'filter-replace',
      at: { block: blocks.egress },
      priority: PRIORITY,
      programFd: programs.podIn,
      name: 'pod_in',
    },
  ])
}

/** Removes the anchor pair; the blocks go with it once no pod is bound. */
export async function removeAnchor(net: Net): Promise<void> {
  if (net.link(ANCHOR) !== undefined) await net.runBlocking([{ op: 'link-delete', link: ANCHOR }])
}

/** Throws Error when another tool's devices use one of the indices. */
export function refuseForeignUse(net: Pick<Net, 'qdiscs' | 'link'>, blocks: Blocks): void {
  const used = net
    .qdiscs()
    .filter(q => [q.ingressBlock, q.egressBlock].some(b => b === blocks.ingress || b === blocks.egress))
  const foreign = used.map(q => net.link(q.link)?.name ?? `index ${q.link}`).filter(name => !isOwnDevice(name))
  if (foreign.length === 0) return
  throw new Error(
    `tc blocks ${blocks.ingress} and ${blocks.egress} are used by ${foreign.join(', ')}: choose others with datapath.ingressBlock and datapath.egressBlock`,
  )
}
