/** A lab whose nodes have a container runtime: the daemon's CNI executable is called by that, not by the lab. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../../daemon/kernel/netns/thread-pool.ts'
import { get } from '../../../deploy/lab/api.ts'
import { builtProject, PROBE } from '../../../deploy/lab/built.ts'
import type { NodeLayout } from '../../../deploy/lab/layout.ts'
import { isRunning, processesIn, send } from '../../../deploy/lab/namespaces.ts'
import { type Built, startDaemon } from '../../../deploy/lab/node.ts'
import { ownLab, removeLab } from '../../../deploy/lab/own.ts'
import type { Lab } from '../../../deploy/lab/state.ts'
import { buildLab } from '../../../deploy/lab/up.ts'
import { mustRun } from '../../../deploy/lab/command.ts'
import { eventually } from '../eventually.ts'
import {
  Containerd,
  type ContainerdRelease,
  INSTALLED_CONTAINERD,
  type NodeFiles,
  referencePlugins,
} from './containerd.ts'
import { PAUSE_IMAGE } from './containerd-config.ts'
import { type ImageContent, ownArchitecture, writeImages } from '../../../deploy/image/oci-image.ts'
import { type Entry, EXECUTABLE, fileOf, linkTo } from '../../../deploy/image/tree.ts'

const UP_TIMEOUT_MS = 120_000
/** Busybox and the probe. */
export const POD_IMAGE = 'localhost/causeway/probe:1'

export interface ClusterOptions {
  readonly nodes?: number
  readonly release?: ContainerdRelease
  /** `key=value` of the daemons' configuration. */
  readonly set?: readonly string[]
  /** Nodes learn of the cluster from an API server. */
  readonly kubernetes?: true
}

export class CriCluster implements AsyncDisposable {
  readonly lab: Lab
  readonly runtimes: readonly Containerd[]
  readonly built: Built
  readonly #owned: AsyncDisposableStack

  private constructor(lab: Lab, runtimes: readonly Containerd[], built: Built, owned: AsyncDisposableStack) {
    this.lab = lab
    this.runtimes = runtimes
    this.built = built
    this.#owned = owned
  }

  /** Builds it; what a killed run of that name left is removed first. */
  static async up(name: string, options: ClusterOptions = {}): Promise<CriCluster> {
    const release = options.release ?? INSTALLED_CONTAINERD
    const built = { ...builtProject(), cniPlugins: referencePlugins(release) }
    await warmThreadPool()
    using kernel = new LinuxKernel()
    const signal = AbortSignal.timeout(UP_TIMEOUT_MS)
    await using stack = new AsyncDisposableStack()
    const own = stack.use(await ownLab(name, signal))
    const { nodes = 2, set = [], kubernetes } = options
    const labOptions = { nodes, pods: 0, set, ...(kubernetes === undefined ? {} : { kubernetes }) }
    const lab = await buildLab(own.layout, labOptions, { kernel, built, signal, say: () => {} })
    const runtimes = lab.nodes.map(n => stack.use(new Containerd(lab.layout, n, release)))
    const files = await nodeFiles(join(lab.layout.root, 'images'))
    await Promise.all(runtimes.map(r => r.install(files)))
    return new CriCluster(lab, runtimes, built, stack.move())
  }

  /** Removes it with all that runs in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }

  /** Removes what there is of a name, also what a killed run left. */
  static async remove(name: string): Promise<void> {
    await removeLab(name, AbortSignal.timeout(UP_TIMEOUT_MS))
  }

  /** Ends a node's daemon; pods keep their network. */
  async stopDaemon(node: NodeLayout, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const own = processesIn([node.netnsName]).filter(p => commandLine(p.pid).includes(node.config))
    send(signal, own)
    await eventually(() => !own.some(isRunning), { timeoutMs: 15_000 })
  }
  /** Starts it again; resolves once it is ready. */
  async startDaemon(node: NodeLayout): Promise<void> {
    await startDaemon(this.lab.layout, node, this.built, AbortSignal.timeout(60_000))
  }

  /** A JSON answer of a node's daemon. */
  async ask(node: NodeLayout, path: string): Promise<unknown> {
    return (await get(node.socket, path, AbortSignal.timeout(10_000))).body
  }
}

async function nodeFiles(folder: string): Promise<NodeFiles> {
  mkdirSync(folder)
  const init = join(folder, 'pause')
  await mustRun(['gcc', '-static', '-O2', '-Wall', '-Werror', '-o', init, join(import.meta.dirname, 'pause.c')])
  const imageArchive = join(folder, 'images.tar')
  const program = (file: string): Entry => fileOf(file, EXECUTABLE)
  const probe = { 'bin/busybox': program('/bin/busybox'), 'bin/cw-probe': program(PROBE), 'bin/sh': linkTo('busybox') }
  await writeImages(imageArchive, [
    smallImage(PAUSE_IMAGE, '/pause', { pause: program(init) }),
    smallImage(POD_IMAGE, '/bin/sh', probe),
  ])
  return { init, imageArchive, images: [PAUSE_IMAGE, POD_IMAGE] }
}

function smallImage(name: string, entrypoint: string, tree: Readonly<Record<string, Entry>>): ImageContent {
  const layers = [{ about: name, tree: new Map(Object.entries(tree)) }]
  return { name, platforms: [{ architecture: ownArchitecture(), layers, entrypoint: [entrypoint], path: '/bin' }] }
}

/** Empty for a process that has ended. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
