/**
 * A node in memory: a machine, a run directory with a real journal and delete queue, and a daemon's endpoints over them
 * that can be ended like a killed process and started again. What a killed daemon still tries to do has no effect.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CniResult } from '../../daemon/endpoint/attachment.ts'
import { createEndpoints, type Endpoints, type EndpointsOptions } from '../../daemon/endpoint/endpoints.ts'
import { type JournalFiles, nodeFiles } from '../../daemon/endpoint/journal-files.ts'
import type { AttachmentId } from '../../daemon/endpoint/key.ts'
import type { Fault } from '../../daemon/endpoint/steps.ts'
import { ANCHOR, ensureAnchor } from '../../daemon/datapath/blocks.ts'
import type { BpfMap } from '../../daemon/kernel/kernel.ts'
import type { MemoryKernel } from '../../daemon/kernel/memory/kernel.ts'
import { Machine } from '../../daemon/kernel/memory/machine.ts'
import { Stopped } from '../../daemon/kernel/memory/refuse.ts'
import { Reconciler } from '../../daemon/state/reconcile.ts'
import { createTables, type EndpointRow, type Tables } from '../../daemon/state/tables.ts'
import { FakeLog } from './fake-log.ts'
import { FakeMetrics } from './fake-metrics.ts'
import { SmallIpam, type SmallIpamOptions } from './small-ipam.ts'

export const BLOCKS = { ingress: 0xca01, egress: 0xca02 } as const

export interface MemoryNodeOptions extends Partial<SmallIpamOptions> {
  readonly machine?: Machine
  readonly endpoints?: Partial<EndpointsOptions>
}

/** One life of the daemon. */
export interface Daemon {
  readonly kernel: MemoryKernel
  readonly tables: Tables
  readonly ipam: SmallIpam
  readonly log: FakeLog
  readonly metrics: FakeMetrics
  readonly endpoints: Endpoints
  /** Set to have a say at each step's boundary. */
  fault: Fault
  /** Ends this life as SIGKILL does. */
  kill(): void
}

export class MemoryNode {
  readonly machine: Machine
  readonly directory = mkdtempSync(join(tmpdir(), 'cw-endpoint-'))
  readonly #options: MemoryNodeOptions
  #queued = 0
  #stopAt: number | undefined
  daemon: Daemon

  constructor(options: MemoryNodeOptions = {}) {
    this.#options = options
    this.machine = options.machine ?? new Machine()
    ensureAnchor(this.machine.process().net, BLOCKS)
    this.daemon = this.#start()
  }

  /** A node whose daemon has restored. */
  static async start(options: MemoryNodeOptions = {}): Promise<MemoryNode> {
    const node = new MemoryNode(options)
    await node.daemon.endpoints.restore()
    return node
  }

  get map(): BpfMap<string, { readonly index: number; readonly owner: string }> {
    return this.machine.map('endpoints', 1024)
  }
  get journalPath(): string {
    return join(this.directory, 'journal')
  }

  /** The living daemon dies at its n-th request from now, or else the next one at its n-th. */
  killNextAt(nth: number): void {
    if (this.daemon.kernel.stopped) this.#stopAt = nth
    else this.daemon.kernel.stopAt(nth)
  }

  /** Kills the daemon if it lives, and starts the next one, which dies at a step of its start if one is given. */
  async restart(dieAt?: string): Promise<void> {
    this.daemon.kill()
    this.daemon = this.#start()
    if (dieAt !== undefined) killAt(this.daemon, dieAt)
    await this.daemon.endpoints.restore()
  }

  /** Makes the pod's namespace if need be and runs ADD. */
  add(
    name: string,
    wishes: { readonly ips?: readonly string[]; readonly mac?: string; readonly deadlineMs?: number } = {},
  ): Promise<CniResult> {
    const netns = netnsPath(name)
    if (this.daemon.kernel.netnsId(netns) === undefined) this.machine.addNamespace(netns)
    const pod = { namespace: 'default', name, uid: `uid-${name}` }
    const { ips = [], mac, deadlineMs = 5000 } = wishes
    const request = { ...idOf(name), netns, pod, ips, ...(mac === undefined ? {} : { mac }) }
    return this.daemon.endpoints.add(request, deadlineMs, new AbortController().signal)
  }
  del(name: string): Promise<void> {
    return this.daemon.endpoints.del(idOf(name), 5000)
  }
  check(name: string, prevResult?: unknown): Promise<void> {
    const request = { ...idOf(name), netns: netnsPath(name), prevResult }
    return this.daemon.endpoints.check(request, 5000, new AbortController().signal)
  }
  gc(valid: readonly string[]): Promise<void> {
    const validAttachments = valid.map(name => ({ containerId: name, ifName: 'eth0' }))
    return this.daemon.endpoints.gc({ network: 'causeway', validAttachments }, 5000, new AbortController().signal)
  }
  /** What the CNI executable leaves when it finds no daemon. */
  queueDelete(name: string, change: { readonly bootId?: string; readonly time?: number } = {}): void {
    const time = change.time ?? Date.now() * 1000 + this.#queued++
    const netnsInode = this.machine.process().netnsId(netnsPath(name))?.ino ?? 0
    const bootId = change.bootId ?? this.machine.bootId
    const entry = { bootId, ...idOf(name), netns: netnsPath(name), netnsInode, time }
    const directory = join(this.directory, 'deletes')
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, `${String(time).padStart(20, '0')}-1.json`), JSON.stringify(entry))
  }

  /** Everything of pods that exists, as lines; empty when nothing is left over. */
  observe(): string[] {
    const net = this.machine.process().net
    const links = new Map(net.links().map(link => [link.index, link.name]))
    const foreign = (index: number): boolean => ['lo', ANCHOR, 'cw-anchor1'].includes(links.get(index) ?? '')
    return [
      ...net.links().map(link => [link.index, `link ${link.name} ${link.alias}`] as const),
      ...net.routes().map(route => [route.link, `route ${route.dst} dev ${links.get(route.link)}`] as const),
      ...net.neighbours().map(n => [n.link, `neighbour ${n.address} ${n.mac} dev ${links.get(n.link)}`] as const),
      ...net.qdiscs().map(q => [q.link, `block ${q.ingressBlock} ${q.egressBlock} dev ${links.get(q.link)}`] as const),
      ...[...this.map.entries()].map(([address, value]) => [-1, `map ${address} ${value.owner}`] as const),
      ...this.daemon.ipam.leases.map(lease => [-1, `lease ${lease.address} ${lease.owner}`] as const),
      ...[...this.daemon.tables.endpoints.values()].map(row => [-1, `row ${row.key}`] as const),
    ]
      .filter(([index]) => !foreign(index))
      .map(([, text]) => text)
      .sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon.endpoints[Symbol.asyncDispose]()
    this.daemon.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #start(): Daemon {
    const kernel = this.machine.process()
    if (this.#stopAt !== undefined) kernel.stopAt(this.#stopAt)
    this.#stopAt = undefined
    const tables = createTables()
    const ipam = new SmallIpam({ size: 50, ...this.#options })
    const log = new FakeLog()
    const metrics = new FakeMetrics()
    const stop = new AbortController()
    const reconciler = mapReconciler(this.map, kernel, tables, stop)
    const endpoints = createEndpoints({
      kernel,
      tables,
      ipams: [ipam],
      families: [4, 6],
      settled: (key, revision, signal) => reconciler.settled(key, revision, signal),
      netnsPaths: () => this.machine.namespacePaths,
      blocks: () => BLOCKS,
      podMtu: () => ({ device: 1500, route: 1450 }),
      journalPath: this.journalPath,
      deleteQueuePath: join(this.directory, 'deletes'),
      log,
      metrics,
      fault: step => {
        kernel.checkAlive()
        daemon.fault(step)
      },
      files: filesOf(kernel),
      ...this.#options.endpoints,
    })
    const kill = (): void => {
      kernel.stop()
      stop.abort()
    }
    const daemon: Daemon = { kernel, tables, ipam, log, metrics, endpoints, fault: () => {}, kill }
    return daemon
  }
}

export function idOf(name: string): AttachmentId {
  return { network: 'causeway', containerId: name, ifName: 'eth0' }
}
export function netnsPath(name: string): string {
  return `/run/netns/${name}`
}

/** Makes the daemon's life end at that step's n-th boundary from now. */
export function killAt(daemon: Daemon, step: string, nth = 1): void {
  let left = nth
  daemon.fault = at => {
    if (at !== step || --left > 0) return
    daemon.kill()
    throw new Stopped()
  }
}

/** The rows in a map that outlives the daemon, by the project's own reconciler. */
function mapReconciler(map: MemoryNode['map'], kernel: MemoryKernel, tables: Tables, stop: AbortController) {
  // A process that was stopped at a request of its own has no reconciler that goes on.
  const checkAlive = (): void => {
    if (kernel.stopped) stop.abort()
    kernel.checkAlive()
  }
  const owned = (row: EndpointRow): string[] => row.addresses.filter(address => map.lookup(address)?.owner === row.key)
  const reconciler = new Reconciler<EndpointRow>({
    name: 'endpoints',
    table: tables.endpoints,
    log: new FakeLog(),
    metrics: new FakeMetrics(),
    target: {
      update: row => {
        checkAlive()
        for (const address of row.addresses) map.update(address, { index: row.device.index, owner: row.key })
        return true
      },
      delete: row => {
        checkAlive()
        map.deleteBatch(owned(row))
      },
      prune: desired => {
        checkAlive()
        const wanted = new Set([...desired].flatMap(row => row.addresses))
        const stale = [...map.entries()].map(([address]) => address).filter(address => !wanted.has(address))
        map.deleteBatch(stale)
        return stale.length
      },
    },
  })
  // Ends with the signal; what a killed daemon's reconciler still throws concerns nobody.
  reconciler.start(stop.signal).catch(() => {})
  return reconciler
}

/** Real files, which a killed daemon can no longer change. What was written outlives a process without being synced. */
function filesOf(kernel: MemoryKernel): JournalFiles {
  const files = nodeFiles()
  return {
    ...files,
    datasyncNow: () => {},
    syncDirectory: () => {},
    create: path => (kernel.checkAlive(), files.create(path)),
    write: (fd, bytes, offset) => (kernel.checkAlive(), files.write(fd, bytes, offset)),
    truncate: (fd, length) => (kernel.checkAlive(), files.truncate(fd, length)),
    rename: (from, to) => (kernel.checkAlive(), files.rename(from, to)),
    datasync: async () => {
      await new Promise(resolve => setImmediate(resolve))
      kernel.checkAlive()
    },
  }
}
