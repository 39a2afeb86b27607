/** What a lab is built with, and the files that tell its daemons. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { Family } from '../../daemon/kernel/kernel.ts'
import { NOT_READY_TAINT } from '../../daemon/operator/parse.ts'
import { LABELS } from '../../plugins/cloud-core/setup.ts'
import { awsSections } from './aws/configuration.ts'
import { MACHINE_TYPE, machineOf } from './aws/vpc.ts'
import { nodeCgroupPath } from './cgroup.ts'
import { clusterSection } from './kubernetes/control-plane.ts'
import { bare, labLayout, type LabLayout, nodeLayout, type NodeLayout, type PodLayout } from './layout.ts'

export interface LabOptions {
  readonly nodes: number
  /** Pods on each node. */
  readonly pods: number
  /** So many of the nodes, the last ones, are in another subnet behind a router; none when absent. */
  readonly far?: number
  /** Nodes learn of the cluster from an API server, and operators assign what they have. */
  readonly kubernetes?: true
  /** With `kubernetes`: nothing of the project is installed; what a chart then installs is run. */
  readonly bare?: true
  /** With `kubernetes`: nodes are machines of a cloud that the lab stands for, and pods have addresses of it. */
  readonly cloud?: 'aws'
  /** `key.in.the.configuration=value`, merged into every node's; values are YAML. */
  readonly set: readonly string[]
  /** A program that takes the daemon's place; absolute path. */
  readonly daemon?: string
}

type Tree = { [key: string]: unknown }

/** The configuration of a node's daemon. Throws when an assignment is malformed; the daemon checks keys and values. */
export function daemonConfiguration(
  lab: LabLayout,
  node: NodeLayout,
  { set, kubernetes, cloud }: Pick<LabOptions, 'set' | 'kubernetes' | 'cloud'>,
): Tree {
  const cgroup = nodeCgroupPath(lab.name, node.name)
  const tree: Tree = {
    nodeName: node.name,
    // The links are the lab's own, whatever machine it is on.
    cloud: cloud ?? 'none',
    // Never the machine's own cgroup: a node's programs see the sockets of that node.
    paths: { ...node.paths, ...(cgroup !== undefined && { cgroup }) },
    services: { socket: cgroup !== undefined },
    cluster: kubernetes ? clusterSection(lab, 'causeway', cloud) : { source: 'directory', directory: lab.cluster },
    ...(cloud === undefined ? { 'cluster-pool': {} } : awsSections()),
    masquerade: {},
  }
  for (const assignment of set) assign(tree, assignment)
  // Both would serve the same pool.
  if ('node-cidr' in tree) delete tree['cluster-pool']
  return tree
}

/** The families that pods of a lab have addresses of; both unless `--set` says otherwise. */
export function podFamilies({ set, ...options }: Pick<LabOptions, 'set' | 'cloud'>): readonly Family[] {
  const layout = labLayout('any')
  const { families = ['ipv4', 'ipv6'] } = daemonConfiguration(layout, nodeLayout(layout, 1), { set, ...options })
  return (['ipv4', 'ipv6'] as const).flatMap((name, i): Family[] =>
    Array.isArray(families) && families.includes(name) ? [i === 0 ? 4 : 6] : [],
  )
}

/** Whether services are translated for sockets, the only way in which a node's own processes find them. */
export function servesSockets({ set }: Pick<LabOptions, 'set'>): boolean {
  const layout = labLayout('any')
  const { services } = daemonConfiguration(layout, nodeLayout(layout, 1), { set })
  return (services as { readonly socket?: boolean } | undefined)?.socket !== false
}

/** Whether pods reach what is outside, which knows no way to them. */
export function leavesCluster({ set, daemon }: Pick<LabOptions, 'set' | 'daemon'>): boolean {
  const layout = labLayout('any')
  const { masquerade } = daemonConfiguration(layout, nodeLayout(layout, 1), { set })
  return daemon === undefined && masquerade !== undefined
}

function assign(tree: Tree, assignment: string): void {
  const at = assignment.indexOf('=')
  const keys = assignment.slice(0, Math.max(at, 0)).split('.')
  if (at < 1 || keys.includes('')) throw new Error(`--set takes key.in.the.configuration=value, not ${assignment}`)
  const last = keys.pop() ?? ''
  let section = tree
  for (const key of keys) {
    const inner = section[key]
    section = section[key] = typeof inner === 'object' && inner !== null ? { ...inner } : {}
  }
  section[last] = parse(assignment.slice(at + 1))
}

/** Two zones, in which the nodes lie in turn: with three of them one zone has two. */
export function zoneOf(node: Pick<NodeLayout, 'name'>): string {
  return machineOf({ netns: '', ...node }).zone
}

/** A Node as the API server would serve it: internal addresses and pod ranges. */
export function nodeManifest(node: NodeLayout): Tree {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, labels: { [LABELS.zone]: zoneOf(node) } },
    spec: { podCIDR: node.podCidrs[0], podCIDRs: node.podCidrs },
    status: { addresses: node.addresses.map(a => ({ type: 'InternalIP', address: bare(a) })) },
  }
}

/** The same as kubelet registers it: the operator has not seen it yet. In a cloud it says which machine it is. */
export function newNodeManifest(node: NodeLayout, cloud?: LabOptions['cloud']): Tree {
  const { spec: _, status, metadata, ...rest } = nodeManifest(node)
  const { labels, ...named } = metadata as { readonly labels: Tree }
  const { id, zone } = machineOf(node)
  return {
    ...rest,
    metadata: { ...named, labels: { ...labels, ...(cloud && { [LABELS.type]: MACHINE_TYPE }) } },
    spec: {
      taints: [{ key: NOT_READY_TAINT, effect: 'NoSchedule' }],
      ...(cloud && { providerID: `aws:///${zone}/${id}` }),
    },
    status: {
      ...(status as Tree),
      nodeInfo: { bootID: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() },
    },
  }
}

/** What the operators of a lab give its nodes. */
export function poolManifest(): Tree {
  return {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'IPPool',
    metadata: { name: 'lab' },
    spec: {
      cidrs: [
        { cidr: '10.71.0.0/16', nodePrefixLength: 24 },
        { cidr: 'fd00:71::/96', nodePrefixLength: 112 },
      ],
    },
  }
}

/** A Pod with the addresses that CNI gave it, as kubelet would report it. */
export function podManifest(pod: PodLayout, addresses: readonly string[]): Tree {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: 'default', uid: pod.containerId, labels: { app: 'probe' } },
    spec: { nodeName: pod.node },
    status: { phase: 'Running', podIP: addresses[0], podIPs: addresses.map(ip => ({ ip })) },
  }
}

/** Puts a manifest into the cluster directory in one step: daemons watch it and must not read half a file. */
export function writeManifest(lab: LabLayout, name: string, manifest: Tree): void {
  mkdirSync(lab.cluster, { recursive: true })
  const temporary = join(lab.root, `.${name}.yaml`)
  writeFileSync(temporary, stringify(manifest))
  renameSync(temporary, join(lab.cluster, `${name}.yaml`))
}

export function removeManifest(lab: LabLayout, name: string): void {
  rmSync(join(lab.cluster, `${name}.yaml`), { force: true })
}
