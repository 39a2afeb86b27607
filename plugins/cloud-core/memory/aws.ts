/**
 * EC2 as far as addresses of pods go, in memory: interfaces that are made, attached and detached in their time, secondary
 * addresses and prefixes out of subnets with reserved addresses and reservations, limits of machines, idempotency by client
 * token, reads that show the past, budgets of each call (API Reference of EC2; figures of `reference/cloud-addresses`).
 */
import { familyIn } from '../../../daemon/kernel/ip.ts'
import type { Family, Prefix } from '../../../daemon/kernel/kernel.ts'
import type { AssignCall, Call, CreateCall, Failure, NicId, ReleaseCall, Reply, SeenNic } from '../model.ts'
import type { SubnetId } from '../model.ts'
import type { Sweep } from '../provider.ts'
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

export type AwsOptions = MemoryCloudOptions

const LATENCIES: Latencies = {
  assign: 400,
  release: 400,
  create: 700,
  attach: 1000,
  protect: 300,
  detach: 1000,
  delete: 400,
  write: 0,
  observe: 150,
  sweep: 500,
  device: 2000,
  detached: 3000,
}

const MUTATING = { burst: 50, perSecond: 5 }
const READING = { burst: 100, perSecond: 20 }
/** The first four addresses of a subnet, and the last (VPC user guide, "Subnet CIDR reservations"). */
const RESERVED = { first: 4, last: 1 }

export const AWS_BUDGETS: Budgets = {
  assign: { name: 'AssignPrivateIpAddresses', rate: MUTATING },
  release: { name: 'UnassignPrivateIpAddresses', rate: MUTATING },
  create: { name: 'CreateNetworkInterface', rate: MUTATING },
  attach: { name: 'AttachNetworkInterface', rate: MUTATING },
  protect: { name: 'ModifyNetworkInterfaceAttribute', rate: MUTATING },
  detach: { name: 'DetachNetworkInterface', rate: MUTATING },
  delete: { name: 'DeleteNetworkInterface', rate: MUTATING },
  write: { name: 'none', rate: MUTATING },
  observe: { name: 'DescribeNetworkInterfaces', rate: READING },
  sweep: { name: 'DescribeNetworkInterfaces', rate: READING },
}

export class MemoryAws implements MemoryCloud {
  readonly name = 'aws'
  readonly budgets: Budgets
  readonly overlapping = 0
  onDevice: MemoryCloud['onDevice'] = () => {}
  readonly #options: MemoryCloudOptions
  readonly #frontend: Frontend
  readonly #estate: Estate
  readonly #tokens = new Map<string, { readonly nic: NicId; readonly asked: string }>()
  readonly #latencies: Latencies

  constructor(options: MemoryCloudOptions) {
    this.#options = options
    this.budgets = withRate(AWS_BUDGETS, options.rate)
    this.#latencies = { ...LATENCIES, ...options.latencies }
    this.#frontend = new Frontend(options)
    this.#estate = new Estate({ ...options, reserved: RESERVED, nicPrefix: 'eni-' })
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
      const of = { token: '', node: '', forPods: index === 0 }
      const wished = index === 0 ? machine.address : undefined
      return { ...this.#estate.newNic(id, of, wished), machine: machine.id, index }
    })
    this.#estate.addMachine(machine)
    for (const nic of nics) this.#estate.put({ ...nic, status: 'attached', deletedWithMachine: true })
  }

  /** Somebody else attaches an interface of theirs, at the lowest index that is free; false where there is no room. */
  attachForeign(machine: string, subnet: SubnetId): boolean {
    const own = this.#estate.of(machine)
    if (own.length >= this.#estate.machine(machine).limits.nics) return false
    const nic = this.#estate.newNic(subnet, { token: '', node: '', forPods: false })
    const taken = new Set(own.map(({ index }) => index))
    let index = 0
    while (taken.has(index)) index++
    this.#estate.put({ ...nic, machine, index, status: 'attached', deletedWithMachine: true })
    return true
  }

  removeMachine(id: string): void {
    this.#estate.endMachine(id)
    for (const nic of this.#estate.of(id)) {
      if (nic.deletedWithMachine) this.#estate.remove(nic)
      else this.#free(nic)
    }
  }

  call(machine: string, call: Call, done: (answer: Reply | Failure) => void): void {
    const commit = (): Reply => ({ nics: this.#carryOut(machine, call) })
    this.#frontend.request(this.budgets[call.kind], this.#latencies[call.kind], { commit }, done)
  }

  sweep(done: (answer: Sweep | Failure) => void): void {
    const commit = (): Sweep => ({ nics: this.#estate.shown(), subnets: this.#estate.shownSubnets() })
    this.#frontend.request(this.budgets.sweep, this.#latencies.sweep, { commit }, done)
  }

  #carryOut(machine: string, call: Call): readonly SeenNic[] {
    switch (call.kind) {
      case 'observe':
        return this.#estate.shownOf(this.#estate.machine(machine))
      case 'assign':
        return [this.#assign(machine, call)]
      case 'release':
        return this.#release(call)
      case 'create':
        return [this.#create(machine, call)]
      case 'attach':
        return [this.#attach(machine, call.nic, call.index)]
      case 'protect':
        this.#estate.put({ ...this.#attached(call.nic), deletedWithMachine: true })
        return []
      case 'detach':
        return this.#detach(machine, call.nic)
      case 'delete': {
        const nic = this.#estate.nic(call.nic)
        if (nic.status !== 'available') refuse('conflict', `InvalidParameterValue: ${nic.id} is in use`)
        this.#estate.remove(nic)
        return []
      }
      case 'write':
        return refuse('invalid', 'EC2 has no such call')
    }
  }

  #assign(machine: string, { nic: id, family, length, count }: AssignCall): SeenNic {
    const nic = this.#estate.nic(id)
    this.#checkRoom(machine, nic, family, count)
    const blocks = this.#estate.take(nic.subnet, { family, length, count })
    this.#estate.put({ ...nic, blocks: [...nic.blocks, ...blocks] })
    return { ...nic, blocks }
  }

  #release({ nic: id, blocks }: ReleaseCall): readonly SeenNic[] {
    const nic = this.#estate.nic(id)
    const lacking = blocks.find(block => !nic.blocks.includes(block))
    if (lacking !== undefined) refuse('gone', `InvalidParameterValue: ${lacking} is not assigned to ${nic.id}`)
    this.#estate.give(nic, blocks)
    this.#estate.put({ ...nic, blocks: nic.blocks.filter(block => !blocks.includes(block)) })
    return []
  }

  /** EC2 makes interfaces without asking whether there is a machine for them. */
  #create(machine: string, { token, subnet, length, count }: CreateCall): SeenNic {
    const asked = JSON.stringify([subnet, length, count])
    const before = this.#tokens.get(token)
    if (before !== undefined) {
      if (before.asked !== asked) refuse('invalid', 'IdempotentParameterMismatch')
      return this.#estate.nic(before.nic)
    }
    const { node } = this.#estate.everMachine(machine)
    const nic = this.#estate.newNic(subnet, { token, node, forPods: true })
    try {
      this.#checkRoom(machine, nic, 4, count)
      const made = { ...nic, blocks: this.#estate.take(subnet, { family: 4, length, count }) }
      this.#estate.put(made)
      this.#tokens.set(token, { nic: made.id, asked })
      return made
    } catch (error) {
      this.#estate.giveOwn(nic)
      throw error
    }
  }

  #attach(machine: string, id: NicId, index: number): SeenNic {
    const nic = this.#estate.nic(id)
    const { limits } = this.#estate.machine(machine)
    const own = this.#estate.of(machine)
    if (nic.status !== 'available') refuse('conflict', `InvalidNetworkInterface.InUse: ${id}`)
    if (own.some(other => other.index === index)) refuse('conflict', `InvalidParameterValue: index ${index} is in use`)
    if (own.length >= limits.nics) refuse('limit', `AttachmentLimitExceeded: ${machine}`)
    const zones = new Set([nic, ...own].map(({ subnet }) => this.#zoneOf(subnet)))
    if (zones.size > 1) refuse('invalid', `InvalidParameterCombination: ${id} and ${machine} are in different zones`)
    const attaching: SeenNic = { ...nic, machine, index, status: 'attaching', deletedWithMachine: false }
    this.#estate.put(attaching)
    this.#options.timer.after(this.#latencies.attach / 2 + this.#latencies.device, () => {
      const now = this.#estate.nics.get(id)
      if (now?.machine !== machine || now.status !== 'attaching') return
      const attached: SeenNic = { ...now, status: 'attached' }
      this.#estate.put(attached)
      this.onDevice(machine, attached, true)
    })
    return attaching
  }

  #detach(machine: string, id: NicId): readonly SeenNic[] {
    const nic = this.#estate.nic(id)
    if (nic.status !== 'attached') refuse('conflict', `IncorrectState: ${id} is ${nic.status}`)
    if (nic.index === 0) refuse('invalid', `OperationNotPermitted: ${id} is the primary interface`)
    this.#estate.put({ ...nic, status: 'detaching' })
    this.onDevice(machine, nic, false)
    this.#options.timer.after(this.#latencies.detached, () => {
      const now = this.#estate.nics.get(id)
      if (now?.status === 'detaching') this.#free(now)
    })
    return []
  }

  #zoneOf(id: SubnetId): string | undefined {
    return this.#options.subnets.find(subnet => subnet.id === id)?.zone
  }

  #free(nic: SeenNic): void {
    this.#estate.put({ ...nic, machine: '', index: -1, status: 'available', deletedWithMachine: false })
  }

  /** Attached, or about to be. */
  #attached(id: NicId): SeenNic {
    const nic = this.#estate.nic(id)
    if (nic.status !== 'attached' && nic.status !== 'attaching') refuse('conflict', `IncorrectState: ${id}`)
    return nic
  }

  #checkRoom(machine: string, { id, blocks }: SeenNic, family: Family, count: number): void {
    const { limits } = this.#estate.everMachine(machine)
    const room = limits.slots - ofFamily(blocks, family).length
    if (count > room) refuse('limit', `PrivateIpAddressLimitExceeded: ${id} has room for ${room}`)
  }
}

function ofFamily(blocks: readonly Prefix[], family: Family): Prefix[] {
  return blocks.filter(block => familyIn(block) === family)
}
