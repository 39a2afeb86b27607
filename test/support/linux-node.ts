/** A node on the real kernel: a namespace of its own, pods' namespaces beside it, and a daemon's endpoints over them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureAnchor } from '../../daemon/datapath/blocks.ts'
import type { CniResult } from '../../daemon/endpoint/attachment.ts'
import { createEndpoints, type Endpoints, type EndpointsOptions } from '../../daemon/endpoint/endpoints.ts'
import type { Kernel, Net } from '../../daemon/kernel/kernel.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { createNetns, deleteNetns } from '../../daemon/kernel/netns/create.ts'
import { Table } from '../../daemon/state/table.ts'
import type { EndpointRow } from '../../daemon/state/tables.ts'
import { FakeLog } from './fake-log.ts'
import { FakeMetrics } from './fake-metrics.ts'
import { BLOCKS, idOf } from './memory-node.ts'
import { SmallIpam } from './small-ipam.ts'

export class LinuxNode {
  readonly directory = mkdtempSync(join(tmpdir(), 'cw-linux-node-'))
  readonly kernel: Kernel
  readonly log = new FakeLog()
  readonly #stack = new AsyncDisposableStack()
  readonly #pods = new Set<string>()
  endpoints: Endpoints
  ipam: SmallIpam

  /** Takes the datapath for settled at once. */
  constructor() {
    this.#stack.defer(() => rmSync(this.directory, { recursive: true }))
    const path = join(this.directory, 'node')
    createNetns(path)
    this.#stack.defer(() => deleteNetns(path))
    this.kernel = inNamespace(this.#stack.use(new LinuxKernel()), path, net => this.#stack.use(net))
    ensureAnchor(this.kernel.net, BLOCKS)
    ;[this.endpoints, this.ipam] = this.#start()
  }

  static async start(): Promise<LinuxNode> {
    const node = new LinuxNode()
    await node.endpoints.restore()
    return node
  }

  netns(name: string): string {
    return join(this.directory, `pod-${name}`)
  }
  makePod(name: string): void {
    createNetns(this.netns(name))
    this.#pods.add(name)
  }
  removePod(name: string): void {
    deleteNetns(this.netns(name))
    this.#pods.delete(name)
  }
  async add(name: string): Promise<CniResult> {
    if (!this.#pods.has(name)) this.makePod(name)
    const request = { ...idOf(name), netns: this.netns(name), pod: { namespace: 'default', name, uid: '' }, ips: [] }
    return await this.endpoints.add(request, 10_000, new AbortController().signal)
  }
  del(name: string): Promise<void> {
    return this.endpoints.del(idOf(name), 10_000)
  }
  check(name: string, prevResult?: unknown): Promise<void> {
    const request = { ...idOf(name), netns: this.netns(name), prevResult }
    return this.endpoints.check(request, 10_000, new AbortController().signal)
  }
  /** Another daemon takes over; the first one was not told to stop. */
  async restart(): Promise<void> {
    ;[this.endpoints, this.ipam] = this.#start()
    await this.endpoints.restore()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#pods) deleteNetns(this.netns(name))
    await this.#stack.disposeAsync()
  }

  #start(): [Endpoints, SmallIpam] {
    const ipam = new SmallIpam({ size: 200 })
    const options: EndpointsOptions = {
      kernel: this.kernel,
      tables: { endpoints: new Table<EndpointRow>('endpoints', row => row.key) },
      ipams: [ipam],
      families: [4, 6],
      settled: async () => {},
      blocks: () => BLOCKS,
      podMtu: () => ({ device: 1500, route: 1450 }),
      journalPath: join(this.directory, 'journal'),
      deleteQueuePath: join(this.directory, 'deletes'),
      log: this.log,
      metrics: new FakeMetrics(),
    }
    return [this.#stack.use(createEndpoints(options)), ipam]
  }
}

/** The kernel of a daemon that stands in that namespace. */
function inNamespace(kernel: LinuxKernel, path: string, own: (net: Net) => Net): Kernel {
  const at = (netns?: string): string => (netns === undefined || netns === '/proc/self/ns/net' ? path : netns)
  return {
    net: own(kernel.openNet(path)),
    openNet: netns => kernel.openNet(at(netns)),
    netnsId: netns => kernel.netnsId(at(netns)),
    bootId: kernel.bootId,
    release: kernel.release,
    sysctl: (name, netns) => kernel.sysctl(name, at(netns)),
    setSysctl: (name, value, netns) => kernel.setSysctl(name, value, at(netns)),
    feature: name => kernel.feature(name),
  }
}
