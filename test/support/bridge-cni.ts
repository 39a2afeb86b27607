/**
 * A node that runs another CNI: the reference plugins bridge and host-local, with masquerade by iptables, as a small
 * cluster's first network has it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { podManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { bare, type NodeLayout, type PodLayout } from '../../deploy/lab/layout.ts'
import { addNamespace, deleteNamespace, isRunning, processesIn, send } from '../../deploy/lab/namespaces.ts'
import { startProbe } from '../../deploy/lab/node.ts'
import { attachmentOf } from '../../deploy/lab/pod.ts'
import type { Cluster } from './cluster.ts'
import type { ClusterNode } from './cluster-node.ts'
import { ClusterStation } from './cluster-station.ts'
import { eventually } from './eventually.ts'

/** Sorts behind the conflist of the daemon. */
export const BRIDGE_CONFLIST = '87-bridge.conflist'
export const BRIDGE = 'cni0'

/** Folder where host-local keeps which addresses are taken. */
export function bridgeLeases(layout: NodeLayout): string {
  return join(layout.root, 'host-local')
}

/** Puts the other CNI's configuration onto a node, with a range of each family. */
export function installBridge({ layout }: ClusterNode, ranges: readonly string[]): void {
  const ipam = {
    type: 'host-local',
    dataDir: bridgeLeases(layout),
    ranges: ranges.map(subnet => [{ subnet }]),
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  }
  const plugin = { type: 'bridge', bridge: BRIDGE, isGateway: true, ipMasq: true, ipam }
  const list = { cniVersion: '1.0.0', name: 'other', plugins: [plugin] }
  mkdirSync(layout.paths.cniConf, { recursive: true })
  writeFileSync(join(layout.paths.cniConf, BRIDGE_CONFLIST), JSON.stringify(list))
}

/** Names and paths of a pod that the other CNI attaches. */
function bridgePod(cluster: Cluster, node: ClusterNode, letter: string): PodLayout {
  const name = `${node.name}-old${letter}`
  const { layout } = cluster.lab
  const netnsName = `${layout.netnsPrefix}${name}`
  const containerId = `${layout.name}-${name}`
  return { name, netnsName, netns: `/run/netns/${netnsName}`, node: node.name, containerId }
}

/** Starts a pod with whatever CNI the node has now, and a server in it, and tells the cluster of it. */
export async function startBridgePod(cluster: Cluster, node: ClusterNode, letter: string): Promise<ClusterStation> {
  const pod = bridgePod(cluster, node, letter)
  await addNamespace(pod.netnsName)
  using net = cluster.kernel.openNet(pod.netns)
  net.run([{ op: 'link-set', link: 'lo', up: true }])
  const result = await node.runtime.add(attachmentOf(pod))
  const addresses = (result.ips ?? []).map(ip => bare(ip.address))
  writeManifest(cluster.lab.layout, `pod-${pod.name}`, podManifest(pod, addresses))
  await startProbe(cluster.lab.layout, pod, cluster.built, cluster.signal)
  return new ClusterStation({ ...pod, addresses }, cluster.built.probe)
}

/** What a runtime does at the pod's end, with the CNI that the node has now: DEL, then its namespace goes. */
export async function endBridgePod(cluster: Cluster, node: ClusterNode, letter: string): Promise<void> {
  const pod = bridgePod(cluster, node, letter)
  await node.runtime.del(attachmentOf(pod))
  const processes = processesIn([pod.netnsName])
  send('SIGKILL', processes)
  await eventually(() => !processes.some(isRunning))
  await deleteNamespace(pod.netnsName)
  removeManifest(cluster.lab.layout, `pod-${pod.name}`)
}
