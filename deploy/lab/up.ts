/** Building a lab: namespaces and wires, daemons at the same time, pods at the same time. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Kernel } from '../../daemon/kernel/kernel.ts'
import { runCommand } from './command.ts'
import {
  daemonConfiguration,
  type LabOptions,
  newNodeManifest,
  nodeManifest,
  poolManifest,
  servesSockets,
  writeManifest,
} from './configuration.ts'
import { borderOf, openVpc } from './aws/wires.ts'
import { startControlPlane } from './kubernetes/control-plane.ts'
import { exists, removeFolder, takeDown } from './down.ts'
import { type Host, labLayout, type LabLayout, type NodeLayout, nodeLayout, nodeLayouts, podLayout } from './layout.ts'
import { lockLab } from './lock.ts'
import { addNamespace } from './namespaces.ts'
import { type Built, isReady, prepareNode, probeServes, startDaemon, startProbe } from './node.ts'
import { nodeRuntime, startPod } from './pod.ts'
import { hasService, serviceAnswers, writeServices } from './service.ts'
import { describeLab, hasPods, type Lab, loadLab, saveLab, type Station } from './state.ts'
import { together } from './together.ts'
import { planWiring } from './topology.ts'

export interface UpContext {
  readonly kernel: Kernel
  readonly built: Built
  readonly signal: AbortSignal
  /** Progress for people. */
  readonly say: (text: string) => void
}

/**
 * Builds the lab unless it is up with these very options. What a lab of that name was before, or an interrupted `up`
 * left, is removed first. After a failure what was built stays for inspection; after an abort it is removed.
 */
export async function bringUp(name: string, options: LabOptions, context: UpContext): Promise<Lab> {
  const layout = labLayout(name)
  using _lock = await lockLab(layout.lock, context.signal)
  const present = loadLab(name)
  const differs = present === undefined ? 'it is not complete' : await difference(present, options, context)
  if (present !== undefined && differs === undefined) {
    context.say('it is up already')
    return present
  }
  await checkOptions(layout, options, context)
  if (exists(layout)) {
    context.say(`removing what was there: ${differs}`)
    await takeDown(layout)
  }
  try {
    return await buildLab(layout, options, context)
  } catch (error) {
    if (context.signal.aborted) {
      await takeDown(layout)
      removeFolder(layout)
    }
    throw error
  }
}

/** Rejects with what is wrong with `--set`, before a lab that is up is taken down for another. */
async function checkOptions(layout: LabLayout, options: LabOptions, { built, signal }: UpContext): Promise<void> {
  const configuration = daemonConfiguration(layout, nodeLayout(layout, 1), options)
  if (options.daemon !== undefined) return // which has keys of its own
  const folder = mkdtempSync(join(tmpdir(), 'causeway-lab-'))
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
  const file = join(folder, 'config.yaml')
  writeFileSync(file, stringify(configuration))
  const { status, stderr } = await runCommand([...built.daemon.slice(0, -1), 'config', 'check', '--config', file], {
    signal,
  })
  if (status !== 0) throw new Error(stderr.trim())
}

/**
 * Why a lab that is up cannot be taken as it is; undefined when it can. One whose daemon died is built again rather than
 * mended: a check must start from a defined state.
 */
async function difference(lab: Lab, options: LabOptions, { built, signal }: UpContext): Promise<string | undefined> {
  if (JSON.stringify(lab.options) !== JSON.stringify(options)) return 'other options'
  if (lab.fingerprint !== built.fingerprint) return 'the project has changed'
  const stations = hasPods(lab) ? lab.stations : lab.stations.filter(s => s.kind !== 'pod')
  const serves = await Promise.all(stations.map(s => probeServes(s, built, signal)))
  const idle = stations.find((_, i) => serves[i] === false)
  if (idle !== undefined) return `nothing serves in ${idle.name}`
  // What a chart installs, or does not, is none of its business.
  if (lab.options.bare) return undefined
  const ready = await Promise.all(lab.nodes.map(n => isReady(n, signal)))
  return ready.every(r => r) ? undefined : 'a daemon is not ready'
}

/** Builds a lab where there is none; the caller holds its name. */
export async function buildLab(layout: LabLayout, options: LabOptions, context: UpContext): Promise<Lab> {
  const { built, signal, say } = context
  const nodes = nodeLayouts(layout, options)
  const { kubernetes = false, cloud } = options
  const others = kubernetes ? [layout.outside, layout.control] : [layout.outside]
  await layWires(layout, nodes, context.kernel, others, cloud)
  mkdirSync(layout.cluster, { recursive: true })
  if (kubernetes && !options.bare && cloud === undefined) writeManifest(layout, 'pool', poolManifest())
  for (const node of nodes)
    writeManifest(layout, node.name, kubernetes ? newNodeManifest(node, cloud) : nodeManifest(node))
  if (kubernetes) {
    say('starting the control plane')
    await startControlPlane(layout, options, built, signal)
  }
  await together(nodes.map(n => prepareNode(layout, n, built, options)))
  if (options.bare) {
    const saved = { options, fingerprint: built.fingerprint, pods: {} }
    await together([...nodes, layout.outside].map(place => startProbe(layout, place, built, signal)))
    saveLab(layout, saved)
    return describeLab(layout, saved)
  }
  say(`starting ${count(nodes.length, 'daemon')}`)
  await together(nodes.map(n => startDaemon(layout, n, built, signal)))
  const places = [...nodes, layout.outside]
  await together(places.map(place => startProbe(layout, place, built, signal)))
  return await populate(layout, options, context)
}

/** Starts the pods of a lab that was built bare. Rejects when it has them, or when a daemon is not ready for them. */
export async function startPods(name: string, context: UpContext): Promise<Lab> {
  const layout = labLayout(name)
  using _lock = await lockLab(layout.lock, context.signal)
  const lab = loadLab(name)
  if (lab === undefined) throw new Error('the lab is not up; npm run lab -- up')
  if (hasPods(lab)) throw new Error('the lab has its pods; npm run lab -- check')
  const ready = await Promise.all(lab.nodes.map(n => isReady(n, context.signal)))
  const idle = lab.nodes.find((_, i) => ready[i] === false)
  if (idle !== undefined)
    throw new Error(`the daemon of ${idle.name} is not ready: install the chart first (docs/kubernetes.md)`)
  return await populate(layout, lab.options, context)
}

/** Starts the pods of a lab whose daemons are ready, and the services that they have. */
async function populate(layout: LabLayout, options: LabOptions, context: UpContext): Promise<Lab> {
  const { built, signal, say } = context
  const nodes = nodeLayouts(layout, options)
  say(`starting ${count(nodes.length * options.pods, 'pod')}`)
  const pods = await together(nodes.map(n => startPodsOf(layout, n, options.pods, context)))
  const saved = { options, fingerprint: built.fingerprint, pods: Object.fromEntries(pods.flat()) }
  const lab = describeLab(layout, saved)
  await together(lab.stations.filter(s => s.kind === 'pod').map(s => startProbe(layout, s, built, signal)))
  if (hasService(options)) await startService(lab, built.probe, signal)
  saveLab(layout, saved)
  return lab
}

async function startService(lab: Lab, probe: string, signal: AbortSignal): Promise<void> {
  const of = (kind: Station['kind']): Station[] => lab.stations.filter(s => s.kind === kind)
  writeServices(lab.layout, lab.options, of('pod'))
  // Whoever of a node finds services in any case.
  const askers = servesSockets(lab.options)
    ? of('node')
    : lab.nodes.flatMap(n => of('pod').find(p => p.node === n.name) ?? [])
  await together(askers.map(asker => serviceAnswers(lab, asker, probe, signal)))
}

/** Makes the namespaces and the network between them. */
export async function layWires(
  layout: LabLayout,
  nodes: readonly NodeLayout[],
  kernel: Kernel,
  others: readonly Host[] = [layout.outside],
  cloud?: LabOptions['cloud'],
): Promise<void> {
  const routed = nodes.some(n => n.far)
  const hosts = cloud === undefined ? others : [...others, borderOf(layout)]
  const names = ['underlay', ...hosts.map(o => o.name), ...(routed ? ['router'] : []), ...nodes.map(n => n.name)]
  await together(names.map(n => addNamespace(`${layout.netnsPrefix}${n}`)))
  keepNetfilterOut(kernel, layout.underlay.netns)
  if (routed) {
    keepNetfilterOut(kernel, layout.router.netns)
    for (const name of ROUTER_SYSCTLS) kernel.setSysctl(name, '1', layout.router.netns)
  }
  // Machines of a cloud get their wires from it.
  for (const { netns, requests } of planWiring(layout, cloud === undefined ? nodes : [], hosts)) {
    using net = kernel.openNet(netns)
    net.run(requests)
  }
  if (cloud !== undefined) openVpc(layout, nodes, kernel)
}

const ROUTER_SYSCTLS = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']

/** Where br_netfilter is loaded, as Docker and kubeadm do, frames on a bridge would run through netfilter as packets. */
export function keepNetfilterOut(kernel: Kernel, netns: string): void {
  for (const table of ['iptables', 'ip6tables', 'arptables']) {
    const name = `net.bridge.bridge-nf-call-${table}`
    if (kernel.sysctl(name, netns) !== undefined) kernel.setSysctl(name, '0', netns)
  }
}

async function startPodsOf(layout: LabLayout, node: NodeLayout, pods: number, { kernel, signal }: UpContext) {
  const runtime = nodeRuntime(layout, node, signal)
  const layouts = Array.from({ length: pods }, (_, i) => podLayout(layout, node, i))
  return await together(
    layouts.map(async pod => {
      const addresses = await startPod(layout, pod, runtime, netns => kernel.openNet(netns))
      return [pod.name, addresses] as const
    }),
  )
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
