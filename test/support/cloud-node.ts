/** A plugin of addresses from a cloud on a node whose NodeNetwork a test writes, over lives of its daemon. */
import assert from 'node:assert/strict'
import { writeCloudSpec } from '../../daemon/cluster/parse-cloud-spec.ts'
import type { AddressRequest, Ipam, Lease, Parts, Plugin, Released } from '../../daemon/plugin.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import type { CloudBlockRow, CloudDeviceRow, CloudNicRow, CloudReportRow } from '../../daemon/state/cloud-rows.ts'
import { replaceRows } from '../../daemon/state/replace.ts'
import type { Cloud, PodRow } from '../../daemon/state/tables.ts'
import { FakeClock, settle } from './fake-clock.ts'
import { type FakeHost, fakeHost } from './fake-host.ts'
import { FakeNotes } from './fake-notes.ts'

export type CloudPlugin = (clock: Clock) => Plugin

const NIC: CloudNicRow = {
  id: 'eni-1',
  mac: '02:00:00:00:00:01',
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
  /** Interfaces whose devices are there and configured; the first one unless given. */
  readonly devices?: readonly string[]
}

export class CloudNode implements AsyncDisposable {
  readonly notes = new FakeNotes()
  readonly clock = new FakeClock()
  readonly #plugin: CloudPlugin
  readonly #options: CloudNodeOptions
  readonly #never = new AbortController().signal
  readonly #devices: Set<string>
  #life: { readonly host: FakeHost; readonly parts: Parts; readonly ipam: Ipam; readonly running: Promise<void> }

  private constructor(plugin: CloudPlugin, options: CloudNodeOptions, host: FakeHost, parts: Parts) {
    this.#plugin = plugin
    this.#options = options
    this.#devices = new Set(options.devices ?? [NIC.id])
    this.#life = lifeOf(host, parts)
  }

  /** A node whose daemon runs and has restored nothing. */
  static async start(plugin: CloudPlugin, options: CloudNodeOptions = {}): Promise<CloudNode> {
    const host = fakeHost()
    // The clock is the node's; the plugin of this life is made below.
    const node = new CloudNode(plugin, options, host, {})
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
    const host = fakeHost()
    for (const name of ['cloudMachines', 'cloudNics', 'cloudBlocks', 'cloudDevices', 'pods', 'namespaces'] as const)
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

  /** The device of an interface is there, or not any more. */
  plug(nic: string, usable = true): void {
    if (usable) this.#devices.add(nic)
    else this.#devices.delete(nic)
    this.#look()
  }

  /** As the datapath does. */
  #look(): void {
    const { cloudNics, cloudDevices } = this.host.tables
    const rows = [...cloudNics.values()].map(({ id, index: place, addresses, blocks }): CloudDeviceRow => {
      const usable = this.#devices.has(id)
      const device = { name: `ens${place}`, index: place + 1, mtu: 9001, place, gateways: [], addresses, blocks }
      return { id, usable, why: usable ? '' : 'no device has its MAC address', ...device }
    })
    replaceRows(cloudDevices, rows)
  }

  /** The operator writes. */
  async says({ provider, network, shortage, nics, blocks }: SpecText): Promise<void> {
    const rows = blocks.map(block => ({
      nic: NIC.id,
      phase: 'allocatable' as const,
      born: 1,
      ...(typeof block === 'string' ? { block } : block),
    }))
    const standing = (nic: string): string[] =>
      rows.filter(row => row.nic === nic && row.phase !== 'releasing' && row.phase !== 'released').map(row => row.block)
    writeCloudSpec(this.host.tables, {
      machine: {
        provider: provider ?? this.#options.provider ?? 'aws',
        machine: 'i-1',
        network: network ?? 'u1',
        shortage: shortage ?? '',
      },
      nics: (nics ?? [{}]).map(nic => ({ ...NIC, ...nic, blocks: standing(nic.id ?? NIC.id) })),
      blocks: rows,
    })
    this.#look()
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
