/**
 * Pods that leave by each of the ways of ways-out.ts, to servers on a lab's host outside. The first pod of each way is
 * the one that is measured; the others hold flows to the same server, from ports that they choose as any pod does, so
 * that many want one port of their node.
 */
import { basename } from 'node:path'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { PROBE } from '../../../deploy/lab/built.ts'
import { nodeCgroup } from '../../../deploy/lab/cgroup.ts'
import { inNamespace, mustRun } from '../../../deploy/lab/command.ts'
import { endProcesses } from '../../../deploy/lab/down.ts'
import { procFile, processesIn } from '../../../deploy/lab/namespaces.ts'
import { ownLab } from '../../../deploy/lab/own.ts'
import { Core, type Latency, serve, SERVER_PORT } from './core.ts'
import { HeldFlows } from './held-flows.ts'
import { layWaysOut, type WaysOut } from './lay-ways-out.ts'
import { WAYS_OUT, type WayOut } from './ways-out.ts'

/** Linux gives a pod 14,116 ports to one destination quickly, half of all (__inet_hash_connect), so these hold 64,512. */
const HOLDERS = 5
/**
 * An attempt has one packet to find a port with: the next would be sent after a second. On a busy machine one may be
 * answered late.
 */
const LAST = { failures: 2, timeoutMs: 900 }
/** One that is only to be there may try from other ports. */
const SEVERAL = { failures: 200, timeoutMs: 100 }
/** Ports that one set of servers has, and some to spare. */
const NEXT_SERVER = 10

export type Mode = 'rr' | 'crr' | 'stream'
/** What `cw-probe bench` prints; which of it, the mode decides. */
export type Sample = Partial<Latency & { readonly bitsPerSecond: number }>

export class LeavingPods implements AsyncDisposable {
  readonly #ways: WaysOut
  readonly #core: Core
  readonly #signal: AbortSignal
  readonly #stack: AsyncDisposableStack
  readonly #held = new HeldFlows()
  #server: Disposable
  #port = SERVER_PORT

  /** `name` is a lab's name; a lab of that name is built again. */
  static async create(name: string, signal: AbortSignal): Promise<LeavingPods> {
    await using stack = new AsyncDisposableStack()
    const { layout } = stack.use(await ownLab(name, signal))
    const kernel = stack.use(new LinuxKernel())
    const ways = await layWaysOut(layout, 1 + HOLDERS, kernel, signal)
    const core = new Core(nodeCgroup(name, 'bench'))
    const server = await serve(core, ways.outside.netns, SERVER_PORT, signal)
    return new LeavingPods(ways, core, server, stack.move(), signal)
  }

  private constructor(ways: WaysOut, core: Core, server: Disposable, stack: AsyncDisposableStack, signal: AbortSignal) {
    this.#ways = ways
    this.#core = core
    this.#server = server
    this.#stack = stack
    this.#signal = signal
  }

  /** Round trips, connections with one round trip each, or a stream. */
  async measure(mode: Mode, way: WayOut, seconds: number): Promise<Sample> {
    const { outside, pods } = this.#ways
    const command = [PROBE, 'bench', mode, outside.address, `${this.#port}`, '--seconds', `${seconds}`]
    const inPod = this.#core.command(pods[way][0]?.netns ?? '', command)
    return JSON.parse(await mustRun(inPod, { signal: this.#signal })) as Sample
  }

  /** Opens so many flows on each way, or as many as it gets. Resolves with how many there are. */
  async hold(flows: number): Promise<Readonly<Record<WayOut, number>>> {
    await this.letGo()
    const held: [WayOut, number][] = []
    for (const way of WAYS_OUT) {
      const all = await Promise.all(shares(flows).map((count, i) => this.#open(way, i, { count, ...SEVERAL })))
      held.push([way, all.reduce((sum, { opened }) => sum + opened, 0)])
    }
    return Object.fromEntries(held) as Record<WayOut, number>
  }

  /** Opens flows of one pod after another until one is refused, or there are `most`. Resolves with how many there are. */
  async openUntilRefused(way: WayOut, most: number): Promise<number> {
    let all = 0
    for (const [i, count] of shares(most).entries()) {
      const { opened } = await this.#open(way, i, { count, ...LAST })
      all += opened
      if (opened < count) break
    }
    return all
  }

  /** Lets all flows go, and serves at ports where no node remembers any. Resolves once nothing is left to be closed. */
  async letGo(): Promise<void> {
    await this.#held[Symbol.asyncDispose]()
    await this.#endServer()
    this.#port += NEXT_SERVER
    this.#server = await serve(this.#core, this.#ways.outside.netns, this.#port, this.#signal)
  }

  /** Ports from 1024 on that sockets of our node listen at. */
  async listening(): Promise<number> {
    const list = await mustRun(inNamespace(this.#ways.node, ['ss', '-Hltn']), { signal: this.#signal })
    const ports = [...list.matchAll(/^(?:\S+\s+){3}\S+:(\d+)/gm)].map(found => Number(found[1]))
    return new Set(ports.filter(port => port >= 1024)).size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held[Symbol.asyncDispose]()
    this.#server[Symbol.dispose]()
    await this.#stack.disposeAsync()
  }

  /** Those that keep connections are several processes, which take a while to close them. */
  async #endServer(): Promise<void> {
    const command = ['serve', `${this.#port}`]
    const processes = processesIn([basename(this.#ways.outside.netns)])
    await endProcesses(processes.filter(({ pid }) => command.every(word => procFile(pid, 'cmdline').includes(word))))
  }

  #open(way: WayOut, holder: number, wanted: { count: number; failures: number; timeoutMs: number }) {
    const { outside, pods } = this.#ways
    const netns = pods[way][1 + holder]?.netns ?? ''
    return this.#held.open({ netns, address: outside.address, port: this.#port, ...wanted }, this.#signal)
  }
}

/** So many flows for each of the pods that hold them. */
function shares(flows: number): number[] {
  return Array.from({ length: HOLDERS }, (_, i) => Math.floor((flows + i) / HOLDERS))
}
