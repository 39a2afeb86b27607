/** A plugin of addresses from a cloud on a node whose NodeNetwork a test writes, over lives of its daemon. */
import assert from 'node:assert/strict'
import { writeCloudSpec } from '../../daemon/cluster/parse-cloud-spec.ts'
import { Machine } from '../../daemon/kernel/memory/machine.ts'
import type { Kernel } from '../../daemon/kernel/kernel.ts'
import type { AddressRequest, Ipam, Lease, Parts, Plugin, Released } from '../../daemon/plugin.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import type { CloudBlockRow, CloudNicRow, CloudReportRow } from '../../daemon/state/cloud-rows.ts'
import type { Cloud, PodRow } from '../../daemon/state/tables.ts'
import { FakeClock, settle } from './fake-clock.ts'
import { type FakeHost, fakeHost } from './fake-host.ts'
import { FakeNotes } from './fake-notes.ts'

export type CloudPlugin = (clock: Clock) => Plugin

export const OWN_MAC = '02:00:00:00:00:01'
const NIC: CloudNicRow = {
  id: 'eni-1',
  mac: OWN_MAC,
  index: 0,
  subnetCidrs: ['10.0.0.0/16'],
  addresses: ['10.0.0.5'],
  blocks: [],
}

/** What the operator says; a block is on the first interface, in its first life and allocatable unless it says otherwise. */
export interface SpecText {
  readonly provider?: Cloud
  readonly network?: string
  readonly shortage?: string
  readonly nics?: readonly Partial<CloudNicRow>[]
  readonly blocks: readonly (string | (Partial<CloudBlockRow> & { readonly block: string }))[]
}

export interface CloudNodeOptions {
  readonly section?: unknown
  readonly provider?: Cloud
  /** Devices of the node by their MACs. */
  readonly macs?: readonly string[]
}

export class CloudNode implements AsyncDisposable {
  readonly notes = new FakeNotes()
  readonly clock = new FakeClock()
  readonly kernel: Kernel
  readonly #plugin: CloudPlugin
  readonly #options: CloudNodeOptions
  readonly #never = new AbortController().signal
  #devices = 0
  #life: { readonly host: FakeHost; readonly parts: Parts; readonly ipam: Ipam; readonly running: Promise<void> }

  private constructor(plugin: CloudPlugin, options: CloudNodeOptions, kernel: Kernel, host: FakeHost, parts: Parts) {
    this.#plugin = plugin
    this.#options = options
    this.kernel = kernel
    this.#life = lifeOf(host, parts)
  }

  /** A node whose daemon runs and has restored nothing. */
  static async start(plugin: CloudPlugin, options: CloudNodeOptions = {}): Promise<CloudNode> {
    const kernel = new Machine().process()
    const host = fakeHost(kernel)
    // The clock is the node's; the plugin of this life is made below.
    const node = new CloudNode(plugin, options, kernel, host, {})
    for (const mac of options.macs ?? [OWN_MAC]) node.plug(mac)
    await node.#begin(host, [], [])
    return node
  }

  get host(): FakeHost {
    return this.#life.host
  }
  get ipam(): Ipam {
    return this.#life.ipam
  }
  get parts(): Parts {
    return this.#life.parts
  }

  /** The daemon ends, and another begins with what the journal says; what it knows of the cluster stays. */
  async restart(leases: readonly Lease[], released: readonly Released[] = []): Promise<void> {
    const { tables } = this.host
    await this.#end()
    const host = fakeHost(this.kernel)
    for (const name of ['cloudMachines', 'cloudNics', 'cloudBlocks', 'pods', 'namespaces'] as const)
      for (const row of tables[name].values()) host.tables[name].put(row as never)
    await this.#begin(host, leases, released)
  }

  async #begin(host: FakeHost, leases: readonly Lease[], released: readonly Released[]): Promise<void> {
    const parts = await this.#plugin(this.clock).configure(this.#options.section ?? {})(host)
    this.#life = lifeOf(host, parts)
    await this.ipam.restore(leases, released, this.notes.open())
    await settle()
  }

  async #end(): Promise<void> {
    await this.host.stop()
    await this.#life.running
  }

  /** A device with that MAC appears. */
  plug(mac: string, up = true): void {
    this.kernel.net.run([{ op: 'link-add', link: { kind: 'bridge', name: `ens${++this.#devices}`, mac, up } }])
  }

  /** The operator writes. */
  async says({ provider, network, shortage, nics, blocks }: SpecText): Promise<void> {
    const rows = blocks.map(block => ({
      nic: NIC.id,
      phase: 'allocatable' as const,
      born: 1,
      ...(typeof block === 'string' ? { block } : block),
    }))
    writeCloudSpec(this.host.tables, {
      machine: {
        provider: provider ?? this.#options.provider ?? 'aws',
        machine: 'i-1',
        network: network ?? 'u1',
        shortage: shortage ?? '',
      },
      nics: (nics ?? [{}]).map(nic => ({ ...NIC, ...nic })),
      blocks: rows,
    })
    await settle()
  }

  /** What the node says. */
  get report(): CloudReportRow {
    const [row] = this.host.tables.cloudReports.values()
    assert.ok(row, 'the node has said something')
    return row
  }
  /** Demand of IPv4 as `assigned waiting cooling`. */
  get demand(): string {
    const { assigned, waiting, cooling } = this.report.demand.find(({ family }) => family === 4) ?? assert.fail()
    return `${assigned} ${waiting} ${cooling}`
  }
  /** Lives of blocks that it says it has given up, as `block born`. */
  get drained(): string {
    return this.report.drained.map(({ block, born }) => `${block} ${born}`).join()
  }
  get problems(): readonly string[] {
    return (this.parts.problems?.() ?? []).map(({ place, message }) => `${place}: ${message}`)
  }

  take(owner: string, more: Partial<AddressRequest> = {}, signal = this.#never): Promise<Lease> {
    const pod = { namespace: 'test', name: owner, uid: '' }
    return this.ipam.allocate({ owner, pod, family: 4, ...more }, signal)
  }
  /** What a request says that is given up after a while. */
  async givenUp(owner = 'impatient'): Promise<string> {
    const patience = new AbortController()
    const answer = this.take(owner, {}, patience.signal).then(
      lease => `got ${lease.address}`,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    await settle()
    patience.abort()
    return await answer
  }
  release(lease: Lease): Promise<void> {
    return this.ipam.release(lease, this.#never)
  }
  /** A pod of the cluster, on this node unless it says otherwise. */
  pod(name: string, more: Partial<PodRow> = {}): void {
    this.host.tables.pods.put({
      namespace: 'test',
      name,
      uid: '',
      nodeName: 'node-a',
      addresses: [],
      hostNetwork: false,
      labels: {},
      ...more,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }
}

function lifeOf(host: FakeHost, parts: Parts) {
  const running = parts.run?.(host.signal) ?? Promise.resolve()
  // The first life is a placeholder until its plugin is there.
  return { host, parts, ipam: parts.ipam as Ipam, running }
}
