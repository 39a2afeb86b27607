/**
 * A real node for the life test: a lab with this one node, an outside host that knows the way to its pods, and a second
 * node that exists on paper only, so that the daemon has routes to keep.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tryLockFile } from '../../../daemon/kernel/file-lock.ts'
import type { Kernel, Net } from '../../../daemon/kernel/kernel.ts'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { nodeManifest, writeManifest } from '../../../deploy/lab/configuration.ts'
import { exists, removeFolder, takeDown } from '../../../deploy/lab/down.ts'
import { bare, type LabLayout, labLayout, type NodeLayout, nodeLayout } from '../../../deploy/lab/layout.ts'
import { lockLab } from '../../../deploy/lab/lock.ts'
import { type Built, prepareNode } from '../../../deploy/lab/node.ts'
import { layWires } from '../../../deploy/lab/up.ts'
import { inNamespace, mustRun } from '../../../deploy/lab/command.ts'
import { RealDaemon } from './real-daemon.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BUILT: Built = {
  probe: join(ROOT, 'build/probe/cw-probe'),
  cni: join(ROOT, 'build/cni/causeway'),
  daemon: [join(ROOT, 'build/daemon/causeway.cjs')],
  fingerprint: '',
}
const BUNDLE = join(ROOT, 'build/daemon/causeway.cjs')
/** RTPROT_STATIC: an administrator's route. */
const STATIC = 4
const PREFIX = 'life'

export class RealNode implements AsyncDisposable {
  readonly layout: LabLayout
  readonly node: NodeLayout
  readonly kernel: Kernel
  /** The node's namespace. */
  readonly net: Net
  readonly daemon: RealDaemon
  readonly built = BUILT
  readonly #owned: AsyncDisposableStack

  private constructor(layout: LabLayout, kernel: Kernel, owned: AsyncDisposableStack) {
    this.layout = layout
    this.kernel = kernel
    this.node = nodeLayout(layout, 1)
    this.net = owned.use(kernel.openNet(this.node.netns))
    this.daemon = new RealDaemon({ lab: layout, node: this.node, bundle: BUNDLE })
    this.#owned = owned
  }

  /** Everything but the daemon's start; `set` as for the lab. Nodes with different lanes live side by side. */
  static async build(lane: number, set: readonly string[]): Promise<RealNode> {
    await using stack = new AsyncDisposableStack()
    const kernel = stack.use(new LinuxKernel())
    const layout = labLayout(`${PREFIX}${process.pid.toString(36)}${lane}`)
    const lock = await lockLab(layout.lock, AbortSignal.timeout(60_000))
    stack.defer(() => lock[Symbol.dispose]())
    stack.defer(async () => {
      await takeDown(layout)
      removeFolder(layout)
    })
    if (exists(layout)) await takeDown(layout)
    const nodes = [nodeLayout(layout, 1), nodeLayout(layout, 2)] as const
    await layWires(layout, [nodes[0]], kernel)
    routeFromOutside(kernel, layout, nodes[0])
    mkdirSync(layout.cluster, { recursive: true })
    for (const node of nodes) writeManifest(layout, node.name, nodeManifest(node))
    await prepareNode(layout, nodes[0], BUILT, { set })
    return new RealNode(layout, kernel, stack.move())
  }

  /** What the command prints; rejects when it fails. The daemon must not run. */
  uninstall(...options: readonly string[]): Promise<string> {
    const command = [process.execPath, BUNDLE, 'uninstall', '--config', this.node.config, ...options]
    return mustRun(inNamespace(this.node.netns, command))
  }

  /** The end of the daemon's log. */
  log(lines: number): string {
    return readFileSync(this.node.log, 'utf8').split('\n').slice(-lines).join('\n')
  }

  /** A configuration directory for the runtime: the daemon's own list, by which ADD waits for so long. */
  runtimeConf(addTimeoutMs: number): string {
    const own = this.node.paths.cniConf
    const name = readdirSync(own).find(n => n.endsWith('.conflist'))
    if (name === undefined) throw new Error(`no network configuration in ${own}`)
    const list = JSON.parse(readFileSync(join(own, name), 'utf8')) as { plugins: Record<string, unknown>[] }
    const plugins = list.plugins.map((plugin, i) => (i === 0 ? { ...plugin, addTimeoutMs } : plugin))
    const directory = join(this.node.root, 'runtime')
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, name), JSON.stringify({ ...list, plugins }))
    return directory
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.daemon.alive) await this.daemon.kill()
    await this.#owned.disposeAsync()
  }
}

/** Removes what tests that were killed left behind. Their locks are free; those of tests that run are not. */
export async function sweepRealNodes(): Promise<void> {
  const labs = dirname(labLayout(PREFIX).root)
  for (const name of namesIn(labs).filter(n => n.startsWith(PREFIX))) {
    const layout = labLayout(name)
    using lock = tryLockFile(layout.lock)
    if (lock === undefined) continue
    await takeDown(layout)
    removeFolder(layout)
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** The outside host is a client from another network, which reaches pods by their own addresses. */
function routeFromOutside(kernel: Kernel, layout: LabLayout, node: NodeLayout): void {
  using net = kernel.openNet(layout.outside.netns)
  const ways = node.podCidrs.map((dst, i) => ({
    dst,
    via: bare(node.addresses[i] ?? ''),
    link: 'eth0',
    protocol: STATIC,
  }))
  net.run(ways.map(route => ({ op: 'route-add', route })))
}
