/**
 * Names, paths and addresses of a lab. Everything follows from its name and size, so that what an interrupted run left
 * can be found without a record of it.
 *
 *   /run/causeway-lab/NAME/            lock, lab.json (written when the lab is complete)
 *     cluster/                         Node and Pod YAML, the cluster source of all nodes
 *     control/                         the API server's, in the lab's Kubernetes form
 *     results/                         what CNI answered for each pod
 *     nodeN/{run,state,bpf,cni,bin}/   one node's paths; bpf is a bpffs of its own
 *   /run/netns/cw-NAME-PART            underlay, outside, control, router (when there are such), nodeN, nodeN-a …
 */
import { join } from 'node:path'
import type { Address, Prefix } from '../../daemon/kernel/kernel.ts'
import { inVpc } from './aws/vpc.ts'

const LABS = '/run/causeway-lab'
const NETNS = '/run/netns'

/** Ports of the echo, sink and echo-once services start here, in pods and on nodes. */
export const PROBE_PORT = 7000

export interface LabLayout {
  readonly name: string
  readonly root: string
  readonly lock: string
  /** Present only when `up` went through; holds what the lab was built with. */
  readonly complete: string
  readonly cluster: string
  readonly results: string
  /** Namespaces whose name starts so belong to this lab and no other: a lab's name holds no hyphen. */
  readonly netnsPrefix: string
  readonly underlay: Place
  readonly outside: Host
  /** Where the API server and the operators are, in the lab's Kubernetes form. */
  readonly control: Host
  /** Between the underlay and the far nodes' subnet; only there when there are such nodes. */
  readonly router: Place & Record<'near' | 'far', readonly Prefix[]>
}

/** A network namespace with its visible name. */
export interface Place {
  readonly name: string
  readonly netns: string
}

/** Something with addresses on the underlay, or on the subnet behind the router. */
export interface Host extends Place {
  readonly addresses: readonly Prefix[]
  readonly far: boolean
}

export interface NodeLayout extends Host {
  readonly netnsName: string
  readonly root: string
  readonly paths: {
    readonly run: string
    readonly state: string
    readonly bpf: string
    readonly cniConf: string
    readonly cniBin: string
    readonly networkd: string
    readonly networkManager: string
  }
  readonly bpffs: string
  readonly config: string
  readonly log: string
  readonly socket: string
  readonly podCidrs: readonly Prefix[]
}

export interface PodLayout extends Place {
  readonly netnsName: string
  readonly node: string
  readonly containerId: string
}

export function labName(text: string): string {
  if (/^[a-z0-9]{1,12}$/.test(text)) return text
  throw new Error(`a lab's name is 1 to 12 lower-case letters and digits, not ${text}`)
}

export function labLayout(name: string): LabLayout {
  const root = join(LABS, labName(name))
  return {
    name,
    root,
    lock: join(root, 'lock'),
    complete: join(root, 'lab.json'),
    cluster: join(root, 'cluster'),
    results: join(root, 'results'),
    netnsPrefix: `cw-${name}-`,
    underlay: place(name, 'underlay'),
    outside: { ...place(name, 'outside'), addresses: hostAddresses(250, false), far: false },
    control: { ...place(name, 'control'), addresses: hostAddresses(253, false), far: false },
    router: { ...place(name, 'router'), near: hostAddresses(254, false), far: hostAddresses(254, true) },
  }
}

/** Host number `index` of the underlay's subnet, or of the one behind the router. */
function hostAddresses(index: number, far: boolean): readonly Prefix[] {
  return far ? [`172.30.1.${index}/24`, `fd00:30:1::${index}/64`] : [`172.30.0.${index}/24`, `fd00:30::${index}/64`]
}

export function place(lab: string, part: string): Place {
  return { name: part, netns: join(NETNS, `cw-${lab}-${part}`) }
}

/** All nodes of a lab in order. */
export function nodeLayouts(
  lab: LabLayout,
  { nodes, far = 0, cloud }: { readonly nodes: number; readonly far?: number; readonly cloud?: 'aws' },
): NodeLayout[] {
  const layouts = Array.from({ length: nodes }, (_, i) => nodeLayout(lab, i + 1, i >= nodes - far))
  return cloud === undefined ? layouts : layouts.map(inVpc)
}

/** Node number `index`, counted from 1; on the uplink it has addresses of its subnet. */
export function nodeLayout(lab: LabLayout, index: number, far = false): NodeLayout {
  const name = `node${index}`
  const root = join(lab.root, name)
  const bpffs = join(root, 'bpf')
  const paths = {
    run: join(root, 'run'),
    state: join(root, 'state'),
    bpf: join(bpffs, 'causeway'),
    cniConf: join(root, 'cni'),
    cniBin: join(root, 'bin'),
    networkd: join(root, 'networkd'),
    networkManager: join(root, 'network-manager'),
  }
  return {
    ...place(lab.name, name),
    netnsName: `${lab.netnsPrefix}${name}`,
    root,
    paths,
    bpffs,
    config: join(root, 'config.yaml'),
    log: join(root, 'daemon.log'),
    socket: join(paths.run, 'api.sock'),
    addresses: hostAddresses(index, far),
    far,
    podCidrs: [`10.71.${index}.0/24`, `fd00:71:0:${index.toString(16)}::/112`],
  }
}

/** Pod number `index` of a node, counted from 0: node1-a, node1-b … */
export function podLayout(lab: LabLayout, node: NodeLayout, index: number): PodLayout {
  const name = `${node.name}-${letters(index)}`
  return {
    ...place(lab.name, name),
    netnsName: `${lab.netnsPrefix}${name}`,
    node: node.name,
    containerId: `${lab.name}-${name}`,
  }
}

function letters(index: number): string {
  const last = String.fromCharCode(97 + (index % 26))
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last
}

/** The address without its prefix length. */
export function bare(prefix: Prefix): Address {
  return prefix.split('/')[0] ?? prefix
}
