/**
 * Clouds whose changes write the whole machine, in memory: a call reads what is there, and its write is refused when
 * somebody has written meanwhile (ETag of Azure, fingerprint of Google); one operation of a machine at a time.
 */
import { familyIn } from '../../../daemon/kernel/ip.ts'
import type { Call, Failure, NicId, Reply, SeenNic, SubnetId, WriteCall } from '../model.ts'
import type { Sweep } from '../provider.ts'
import type { Reserved } from './address-space.ts'
import {
  type Budgets,
  type Latencies,
  type MemoryCloud,
  type MemoryCloudOptions,
  type MemoryMachine,
  type NicChange,
  withRate,
} from './cloud.ts'
import { Estate } from './estate.ts'
import { type Faults, Frontend, refuse } from './frontend.ts'

/** What one cloud has otherwise than the other. */
export interface WholeWrites {
  readonly name: 'azure' | 'gcp'
  readonly budgets: Budgets
  readonly latencies: Latencies
  readonly reserved: Reserved
  readonly nicPrefix: string
  /** Blocks of an interface at most, whatever the machine. */
  readonly slots: number
  /** What it says when an interface has more blocks than it may, when another operation runs, when somebody wrote before. */
  readonly limitCode: string
  readonly busyCode: string
  readonly staleCode: string
}

export class MemoryWholeWrites implements MemoryCloud {
  readonly name: 'azure' | 'gcp'
  readonly budgets: Budgets
  onDevice: MemoryCloud['onDevice'] = () => {}
  readonly #cloud: WholeWrites
  readonly #options: MemoryCloudOptions
  readonly #frontend: Frontend
  readonly #estate: Estate
  readonly #latencies: Latencies
  /** Counts the writes of each machine: its ETag. */
  readonly #version = new Map<string, number>()
  /** Machines with an operation under way. */
  readonly #busy = new Set<string>()
  #overlapping = 0

  constructor(cloud: WholeWrites, options: MemoryCloudOptions) {
    this.#cloud = cloud
    this.#options = options
    this.name = cloud.name
    this.budgets = withRate(cloud.budgets, options.rate)
    this.#latencies = { ...cloud.latencies, ...options.latencies }
    this.#frontend = new Frontend(options)
    this.#estate = new Estate({ ...options, ...cloud })
  }

  get tallies() {
    return this.#frontend.tallies
  }
  get nics(): ReadonlyMap<NicId, SeenNic> {
    return this.#estate.nics
  }
  get machines(): ReadonlyMap<string, MemoryMachine> {
    return this.#estate.machines
  }
  get overlapping(): number {
    return this.#overlapping
  }
  get faults(): Faults {
    return this.#frontend.faults
  }
  set faults(faults: Faults) {
    this.#frontend.faults = faults
  }
  set onChange(onChange: NicChange) {
    this.#estate.onChange = onChange
  }
  single(subnet: SubnetId): number {
    return this.#estate.single(subnet)
  }

  addMachine(machine: MemoryMachine, subnet: SubnetId, further: readonly SubnetId[] = []): void {
    const nics = [subnet, ...further].map((id, index) => {
      return { ...this.#estate.newNic(id, { token: '', node: '', forPods: true }), machine: machine.id, index }
    })
    this.#estate.addMachine(machine)
    for (const nic of nics) this.#estate.put({ ...nic, status: 'attached', deletedWithMachine: true })
  }

  removeMachine(id: string): void {
    this.#estate.endMachine(id)
    for (const nic of this.#estate.of(id)) this.#estate.remove(nic)
  }

  call(machine: string, call: Call, done: (answer: Reply | Failure) => void): void {
    const latency = this.#latencies[call.kind]
    if (call.kind === 'write') {
      this.#write(machine, call, done)
      return
    }
    const commit = (): Reply => {
      if (call.kind === 'observe') return { nics: this.#estate.shownOf(this.#estate.machine(machine)) }
      return refuse('invalid', `${this.name} has no such call: ${call.kind}`)
    }
    this.#frontend.request(this.budgets[call.kind], latency, { commit }, done)
  }

  sweep(done: (answer: Sweep | Failure) => void): void {
    const commit = (): Sweep => ({ nics: this.#estate.shown(), subnets: this.#estate.shownSubnets() })
    this.#frontend.request(this.budgets.sweep, this.#latencies.sweep, { commit }, done)
  }

  /** Reads what is there, and writes it with the changes when it has that. */
  #write(machine: string, call: WriteCall, done: (answer: Reply | Failure) => void): void {
    const { observe, write } = this.#latencies
    const read = this.#versionOf(machine)
    const work = { arrive: () => this.#begin(machine, read), commit: () => this.#commit(machine, call) }
    this.#options.timer.after(observe, () => this.#frontend.request(this.budgets.write, write - observe, work, done))
  }

  #begin(machine: string, read: number): void {
    this.#estate.machine(machine)
    const busy = this.#busy.has(machine)
    if (busy || read !== this.#versionOf(machine)) {
      this.#overlapping++
      refuse('conflict', `${busy ? this.#cloud.busyCode : this.#cloud.staleCode}: ${machine}`)
    }
    this.#busy.add(machine)
  }

  #commit(machine: string, call: WriteCall): Reply {
    this.#busy.delete(machine)
    this.#estate.machine(machine)
    this.#change(machine, call)
    this.#version.set(machine, this.#versionOf(machine) + 1)
    return { nics: this.#estate.of(machine) }
  }

  #versionOf(machine: string): number {
    return this.#version.get(machine) ?? 0
  }

  /** All of it or nothing. Of what it takes away, what is not there is no matter. */
  #change(machine: string, { add, remove }: WriteCall): void {
    const after = new Map<NicId, SeenNic>()
    const nicOf = (id: NicId): SeenNic => after.get(id) ?? this.#estate.nic(id)
    const given: { readonly nic: SeenNic; readonly blocks: readonly string[] }[] = []
    const taken: typeof given = []
    for (const { nic: id, block } of remove) {
      const nic = nicOf(id)
      if (!nic.blocks.includes(block)) continue
      given.push({ nic, blocks: [block] })
      after.set(id, { ...nic, blocks: nic.blocks.filter(other => other !== block) })
    }
    try {
      for (const { nic: id, ...request } of add) {
        const nic = nicOf(id)
        const { family, count } = request
        this.#checkRoom(machine, nic, family, count)
        const blocks = this.#estate.take(nic.subnet, request)
        taken.push({ nic, blocks })
        after.set(id, { ...nic, blocks: [...nic.blocks, ...blocks] })
      }
    } catch (error) {
      for (const { nic, blocks } of taken) this.#estate.give(nic, blocks)
      throw error
    }
    for (const { nic, blocks } of given) this.#estate.give(nic, blocks)
    for (const nic of after.values()) this.#estate.put(nic)
  }

  #checkRoom(machine: string, { id, blocks }: SeenNic, family: 4 | 6, count: number): void {
    const slots = Math.min(this.#cloud.slots, this.#estate.machine(machine).limits.slots)
    const room = slots - blocks.filter(block => familyIn(block) === family).length
    if (count > room) refuse('limit', `${this.#cloud.limitCode}: ${id} has room for ${room}`)
  }
}
