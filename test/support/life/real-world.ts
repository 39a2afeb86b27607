/**
 * The life test's world on the real kernel: the daemon's bundle as a process in a node's namespace, the CNI executable
 * as a runtime calls it, pods as namespaces. Two bystanders, which live from start to end, hold connections to each
 * other, to the node and to the outside; whatever happens to the others, nothing may happen to them.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isPodDevice } from '../../../daemon/datapath/pod-device.ts'
import type { Attachment } from '../../../daemon/endpoint/attachment.ts'
import { deviceName } from '../../../daemon/endpoint/key.ts'
import type { Step } from '../../../daemon/endpoint/steps.ts'
import { createNetns, deleteNetns } from '../../../daemon/kernel/netns/create.ts'
import { bare, PROBE_PORT } from '../../../deploy/lab/layout.ts'
import { startProbe } from '../../../deploy/lab/node.ts'
import { attachmentOf } from '../../../deploy/lab/pod.ts'
import { CniError, CniRuntime } from '../../../deploy/lab/cni-runtime.ts'
import { inNamespace, runCommand } from '../../../deploy/lab/command.ts'
import { RealNode } from './real-node.ts'
import { ask, lookAt, type NodeState, type Told } from './real-observe.ts'
import { Stream, type StreamReport } from './real-streams.ts'
import { type Answer, keyOf, type Observation, type World } from './world.ts'

export interface RealWorldOptions {
  /** Worlds with different lanes live side by side. */
  readonly lane?: number
  /** Configuration, as `--set` of the lab takes it. */
  readonly set?: readonly string[]
  /** How long ADD waits for a daemon or an address. */
  readonly addTimeoutMs?: number
  /**
   * Asked when a daemon dies while a verb waits for it: whether the runtime has patience. Without it the executable is
   * killed. With it, a DEL is kept on disk, and an ADD waits for the next daemon, which is started meanwhile as a node's
   * init would.
   */
  readonly patient: () => boolean
}

/** A verb of the runtime and the addresses it was answered. */
type Verb = (runtime: CniRuntime) => Promise<readonly string[]>

const BYSTANDERS = ['first', 'second'] as const
/** Between two looks at what is not yet as it must be. */
const SETTLE_MS = 20

export class RealWorld implements World {
  readonly node: RealNode
  readonly #options: RealWorldOptions
  readonly #streams: Stream[] = []
  #confDir = ''
  /** The node before its first daemon, and with its bystanders. */
  #bare: NodeState | undefined
  #rest: readonly string[] = []
  #reviving: Promise<void> | undefined

  private constructor(node: RealNode, options: RealWorldOptions) {
    this.node = node
    this.#options = options
  }

  /** A node with a daemon and the bystanders, whose connections stand. */
  static async start(options: RealWorldOptions): Promise<RealWorld> {
    await using stack = new AsyncDisposableStack()
    const node = stack.use(await RealNode.build(options.lane ?? 0, options.set ?? []))
    const world = new RealWorld(node, options)
    await world.#populate()
    stack.move()
    return world
  }

  get alive(): boolean {
    return this.node.daemon.alive
  }

  async add(pod: string): Promise<Answer> {
    this.#makeNamespace(pod)
    return await this.#untilDeath(
      async runtime => ((await runtime.add(this.#attachment(pod))).ips ?? []).map(ip => bare(ip.address)),
      () => this.#relaunch(),
    )
  }

  async del(pod: string): Promise<Answer> {
    const { alive } = this
    const answer = await this.#untilDeath(
      async runtime => (await runtime.del(this.#attachment(pod)), []),
      async () => !alive || this.#options.patient(),
    )
    return answer.outcome === 'ok' && !this.alive ? { outcome: 'queued' } : answer
  }

  check(pod: string): Promise<Answer> {
    return this.#verb(async runtime => (await runtime.check(this.#attachment(pod)), []))
  }

  gc(valid: readonly string[]): Promise<Answer> {
    const all = [...BYSTANDERS, ...valid].map(pod => this.#attachment(pod))
    return this.#verb(async runtime => (await runtime.gc(all), []))
  }

  async removeNamespace(pod: string): Promise<void> {
    deleteNetns(this.#attachment(pod).netns)
  }

  kill(): Promise<void> {
    return this.node.daemon.kill()
  }
  killAfter(moments: number): void {
    this.node.daemon.killAfter(moments)
  }
  async dieAt(step: Step, nth: number): Promise<void> {
    this.node.daemon.dieAt(step, nth)
  }
  /** A real kernel does not refuse on request. */
  refuseAt(): void {}
  async disarm(): Promise<void> {
    await this.#rested()
    this.node.daemon.disarm()
  }

  async restart(dieAt?: Step | number): Promise<void> {
    const { daemon } = this.node
    if (daemon.alive) await daemon.stop()
    if (typeof dieAt === 'string') daemon.dieAt(dieAt, 1)
    const started = daemon.start()
    if (typeof dieAt === 'number') daemon.killAfter(dieAt)
    await started
  }

  async settle(): Promise<void> {
    await delay(SETTLE_MS)
  }

  async observe(): Promise<Observation> {
    const told = await ask(this.node.node)
    const seen = lookAt(this.node.net, this.node.node)
    const known = new Set(BYSTANDERS.map(pod => deviceName(keyOf(pod))))
    const mine = new Set(seen.links.filter(link => known.has(link.name)).map(link => link.index))
    const others = <T extends { readonly index: number }>(list: readonly T[]): T[] =>
      list.filter(p => !mine.has(p.index))
    const rows = told.rows.filter(row => !BYSTANDERS.some(pod => keyOf(pod) === row.key))
    return {
      devices: others(seen.links)
        .filter(link => isPodDevice(link.name))
        .map(({ name, index }) => ({ name, index })),
      leases: rows.flatMap(row => row.addresses.map(address => ({ address, owner: row.key }))),
      map: others(seen.map),
      routes: others(seen.routes),
      neighbours: others(seen.neighbours),
      leftovers: [
        ...differences(this.#rest, restOf(seen, mine)),
        ...contradictions(seen, told),
        ...this.#streams.flatMap(stream => stream.broken ?? []),
        ...this.node.daemon.crashes,
      ],
    }
  }

  async reach(pod: string, addresses: readonly string[]): Promise<string | undefined> {
    const { netns } = this.#attachment(BYSTANDERS[0])
    for (const address of addresses) {
      const check = [this.node.built.probe, 'check', 'icmp', address, '1', '--timeout', '10000']
      const { status, stdout } = await runCommand(inNamespace(netns, check))
      if (status !== 0) return `${pod} cannot be reached: ${stdout.trim()}`
    }
    return undefined
  }

  /** Ends the connections and resolves to what they saw; the bystanders stay. */
  endStreams(): Promise<StreamReport[]> {
    return Promise.all(this.#streams.splice(0).map(stream => stream.end()))
  }

  /** What is left of the project after `uninstall`; empty when nothing is. A daemon that runs is stopped first. */
  async uninstall(...options: readonly string[]): Promise<string[]> {
    if (this.alive) await this.node.daemon.stop()
    await this.node.uninstall(...options)
    const left = lookAt(this.node.net, this.node.node)
    const pods = left.links.filter(link => isPodDevice(link.name)).map(link => `link ${link.name}`)
    return [...pods, ...differences(this.#bare?.rest ?? [], left.rest)]
  }

  /** Takes the bystanders' pods away in the ordinary way. */
  async dismiss(): Promise<void> {
    for (const pod of BYSTANDERS) await this.del(pod)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.node[Symbol.asyncDispose]()
  }

  async #populate(): Promise<void> {
    const { node } = this
    this.#bare = lookAt(node.net, node.node)
    await node.daemon.start()
    this.#confDir = node.runtimeConf(this.#options.addTimeoutMs ?? 60_000)
    const addresses = new Map<string, readonly string[]>()
    for (const pod of BYSTANDERS) {
      const answer = await this.add(pod)
      if (answer.outcome !== 'ok') throw new Error(`bystander ${pod}: ${JSON.stringify(answer)}`)
      addresses.set(pod, answer.addresses)
      const place = { name: pod, netns: this.#attachment(pod).netns, node: node.node.name }
      await startProbe(node.layout, place, node.built, AbortSignal.timeout(30_000))
    }
    const [first, second] = BYSTANDERS.map(pod => addresses.get(pod) ?? [])
    const from = {
      pod: this.#attachment(BYSTANDERS[0]).netns,
      node: node.node.netns,
      outside: node.layout.outside.netns,
    }
    const ends = [
      ...(second ?? []).map(address => ({ name: `pod → pod ${address}`, fromNetns: from.pod, address })),
      ...(first ?? []).map(address => ({ name: `node → pod ${address}`, fromNetns: from.node, address })),
      ...(first ?? []).map(address => ({ name: `outside → pod ${address}`, fromNetns: from.outside, address })),
    ]
    for (const end of ends) this.#streams.push(await Stream.open(node.built.probe, { ...end, port: PROBE_PORT }))
    this.#rest = restOf(lookAt(node.net, node.node), new Set(node.net.links().map(link => link.index)))
  }

  /** Runs a verb; whenever a daemon dies meanwhile, `wait` says whether the executable may go on. */
  async #untilDeath(verb: Verb, wait: () => Promise<boolean>): Promise<Answer> {
    const give = new AbortController()
    const running = this.#verb(verb, give.signal)
    let answer: Answer | undefined
    let seen: Promise<void> | undefined
    while (answer === undefined) {
      const { gone } = this.node.daemon
      answer = await Promise.race([running, ...(gone === seen ? [] : [gone.then(() => undefined)])])
      if (answer === undefined && !(await wait())) give.abort()
      seen = gone
    }
    await this.#rested()
    return answer
  }

  /** Starts the next daemon, once for all ADDs that wait; false when the runtime has no patience. */
  async #relaunch(): Promise<boolean> {
    if (this.alive) return true
    if (this.#reviving === undefined && !this.#options.patient()) return false
    this.#reviving ??= this.node.daemon.start().finally(() => {
      this.#reviving = undefined
    })
    await this.#reviving
    return true
  }

  async #rested(): Promise<void> {
    await this.#reviving
    await this.node.daemon.atRest()
  }

  async #verb(verb: Verb, give?: AbortSignal): Promise<Answer> {
    const { node, layout } = this.node
    const runtime = new CniRuntime({
      confDir: this.#confDir,
      binDirs: [node.paths.cniBin],
      cacheDir: layout.results,
      nodeNetns: node.netns,
      ...(give === undefined ? {} : { signal: give }),
    })
    try {
      return { outcome: 'ok', addresses: await verb(runtime) }
    } catch (error) {
      if (give?.aborted) return { outcome: 'died' }
      if (error instanceof CniError) return { outcome: 'refused', code: error.code, text: error.message }
      throw error
    }
  }

  #attachment(pod: string) {
    const { layout, node } = this.node
    const netnsName = `${layout.netnsPrefix}${pod}`
    const netns = `/run/netns/${netnsName}`
    return { ...attachmentOf({ name: pod, netns, netnsName, node: node.name, containerId: pod }), netns }
  }

  #makeNamespace(pod: string): void {
    const { netns } = this.#attachment(pod)
    if (this.node.kernel.netnsId(netns) === undefined) createNetns(netns)
  }
}

/** What must stay as it is: all that belongs to no pod, and the bystanders down to their devices' numbers. */
function restOf(seen: NodeState, mine: ReadonlySet<number>): string[] {
  const bystander = <T extends { readonly index: number }>(list: readonly T[]): T[] =>
    list.filter(p => mine.has(p.index))
  return [
    ...seen.rest,
    ...bystander(seen.links)
      .filter(link => isPodDevice(link.name))
      .map(link => `link ${link.index} ${link.name}`),
    ...bystander(seen.routes).map(({ address, index }) => `route ${address} to ${index}`),
    ...bystander(seen.neighbours).map(({ address, index }) => `neighbour ${address} on ${index}`),
    ...bystander(seen.map).map(({ address, index }) => `map endpoints: ${address} on ${index}`),
  ]
}

function differences(want: readonly string[], have: readonly string[]): string[] {
  return [
    ...want.filter(line => !have.includes(line)).map(line => `missing: ${line}`),
    ...have.filter(line => !want.includes(line)).map(line => `left over: ${line}`),
  ]
}

/** Where kernel, maps, journal, table and pools disagree. */
function contradictions(seen: NodeState, { rows, pools }: Told): string[] {
  const devices = seen.links.filter(link => isPodDevice(link.name)).map(link => `device ${link.index}`)
  const addresses = rows.flatMap(row => row.addresses)
  const used = pools.reduce((sum, pool) => sum + pool.used, 0)
  const inJournal = seen.attachments.map((a: Attachment) => `${a.key} ${a.leases.map(l => l.address).join(' ')}`)
  const inTable = rows.map(row => `${row.key} ${row.addresses.join(' ')}`)
  return [
    ...differences(
      devices,
      seen.mapDevices.map(index => `device ${index}`),
    ).map(line => `map devices: ${line}`),
    ...differences(inTable, inJournal).map(line => `journal: ${line}`),
    ...(new Set(addresses).size === addresses.length ? [] : [`an address has two rows: ${addresses.join(' ')}`]),
    ...(used === addresses.length ? [] : [`the pools count ${used} addresses in use, pods hold ${addresses.length}`]),
  ]
}
