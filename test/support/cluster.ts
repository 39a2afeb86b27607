/**
 * A lab for tests: real nodes with the real daemon, CNI executable and programs, and what tests do to them. One lab a
 * test file, by a name of its own; what an interrupted run left under that name is removed at the start.
 */
import type { Kernel } from '../../daemon/kernel/kernel.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { builtProject } from '../../deploy/lab/built.ts'
import { type LabOptions, removeManifest } from '../../deploy/lab/configuration.ts'
import { podLayout, PROBE_PORT } from '../../deploy/lab/layout.ts'
import { deleteNamespace, isRunning, processesIn, send } from '../../deploy/lab/namespaces.ts'
import type { Built } from '../../deploy/lab/node.ts'
import { ownLab } from '../../deploy/lab/own.ts'
import { attachmentOf, startPod } from '../../deploy/lab/pod.ts'
import type { Lab } from '../../deploy/lab/state.ts'
import { buildLab, type UpContext } from '../../deploy/lab/up.ts'
import { ClusterNode } from './cluster-node.ts'
import { ClusterStation } from './cluster-station.ts'
import { inNamespace, mustRun } from '../../deploy/lab/command.ts'
import { eventually } from './eventually.ts'

/** The whole of a lab's life in one test file; what takes longer hangs. */
const LIFE_MS = 10 * 60_000

/** A running lab. Dispose of it in `after`, which also cleans up what a failed test left. */
export class Cluster implements AsyncDisposable {
  readonly lab: Lab
  readonly kernel: Kernel
  readonly nodes: readonly ClusterNode[]
  /** Pods, nodes and the outside host. */
  readonly stations: readonly ClusterStation[]
  readonly built: Built
  readonly signal: AbortSignal
  readonly #owned: AsyncDisposableStack

  /**
   * Brings a lab of that name up. Rejects, with everything removed, when that fails. `say` hears what comes next, such as
   * `starting 2 daemons` once the wires are laid.
   */
  static async start(name: string, options: Partial<LabOptions> = {}, say: (text: string) => void = () => {}) {
    const built = builtProject()
    await warmThreadPool()
    const signal = AbortSignal.timeout(LIFE_MS)
    await using stack = new AsyncDisposableStack()
    const own = stack.use(await ownLab(name, signal))
    const kernel = stack.use(new LinuxKernel())
    const context = { kernel, built, signal, say }
    const lab = await buildLab(own.layout, { nodes: 2, pods: 2, set: [], ...options }, context)
    return new Cluster(lab, context, stack.move())
  }

  private constructor(lab: Lab, context: Omit<UpContext, 'say'>, owned: AsyncDisposableStack) {
    const { kernel, built, signal } = context
    this.lab = lab
    this.kernel = kernel
    this.built = built
    this.signal = signal
    this.#owned = owned
    this.nodes = lab.nodes.map(node => new ClusterNode({ lab, node, kernel, built, signal }))
    this.stations = lab.stations.map(s => new ClusterStation(s, built.probe))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const station of this.stations) station.stopAll()
    await this.#owned.disposeAsync()
  }

  /** A node by its name, such as `node1`. Throws when there is none. */
  node(name: string): ClusterNode {
    return found(this.nodes, name)
  }
  /** A pod, a node as a place, or the outside host, by its name, such as `node1-a`. Throws when there is none. */
  station(name: string): ClusterStation {
    return found(this.stations, name)
  }

  /** A further pod, number `index` of its node counted from 0; those the lab was built with are taken. Has no server. */
  async addPod(node: string, index: number): Promise<ClusterStation> {
    const { layout, runtime } = this.node(node)
    const pod = podLayout(this.lab.layout, layout, index)
    const addresses = await startPod(this.lab.layout, pod, runtime, path => this.kernel.openNet(path))
    return new ClusterStation({ ...pod, addresses }, this.built.probe)
  }

  /** What a runtime does at a pod's end: DEL, then its namespace goes. The Pod object is taken away too. */
  async deletePod(node: string, index: number): Promise<void> {
    const { layout, runtime } = this.node(node)
    await runtime.del(attachmentOf(podLayout(this.lab.layout, layout, index)))
    await this.forgetPod(node, index)
  }

  /** A pod ends without a DEL: its processes, its namespace, and the Pod object. */
  async forgetPod(node: string, index: number): Promise<void> {
    const pod = podLayout(this.lab.layout, this.node(node).layout, index)
    const processes = processesIn([pod.netnsName])
    send('SIGKILL', processes)
    await eventually(() => !processes.some(isRunning))
    await deleteNamespace(pod.netnsName)
    removeManifest(this.lab.layout, `pod-${pod.name}`)
  }

  /** Runs a program in a place of the lab that is neither node nor pod: `underlay`, `outside`, `router`. */
  async runIn(place: string, command: readonly string[]): Promise<string> {
    return await mustRun(inNamespace(this.netns(place), command), { signal: this.signal })
  }

  /** nsfs path of any namespace of the lab. */
  netns(place: string): string {
    return `/run/netns/${this.lab.layout.netnsPrefix}${place}`
  }
}

/** Both families, for tables of cases. */
export const FAMILIES = [4, 6] as const

/** Port of the echo server that runs in each pod and on each node. */
export const ECHO_PORT = PROBE_PORT

function found<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const one = list.find(each => each.name === name)
  if (one === undefined) throw new Error(`no ${name}; there are ${list.map(each => each.name).join(', ')}`)
  return one
}
