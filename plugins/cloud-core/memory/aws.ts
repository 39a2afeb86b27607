/**
 * EC2 as far as addresses of pods go, in memory: interfaces that are made, attached and detached in their time, secondary
 * addresses and /28 prefixes out of subnets with reserved addresses, limits of machines, idempotency by client token, reads
 * that show the past, budgets of each call (API Reference of EC2; figures of `reference/cloud-addresses`).
 */
import { parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Prefix } from '../../../daemon/kernel/kernel.ts'
import type { Call, CallKind, CreateCall, Failure, Limits, NicId, Reply, SeenNic, SubnetId } from '../model.ts'
import type { Budget, Sweep } from '../provider.ts'
import { AddressSpace } from './address-space.ts'
import { Frontend, type FrontendOptions, refuse, type Tally } from './frontend.ts'

export interface AwsOptions extends FrontendOptions {
  readonly subnets: readonly { readonly id: SubnetId; readonly cidr: Prefix; readonly zone: string }[]
  readonly latencies?: Partial<Latencies>
  /** Reads show what was up to so long ago. */
  readonly staleMs?: number
}

/** Milliseconds that calls take. */
export interface Latencies extends Readonly<Record<CallKind | 'sweep', number>> {
  /** From the answer to an attach until the machine has the device. */
  readonly device: number
}

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
}

const MUTATING = { burst: 50, perSecond: 5 }
const READING = { burst: 100, perSecond: 20 }
/** The first four addresses of a subnet, and the last (VPC user guide, "Subnet CIDR reservations"). */
const RESERVED = { first: 4, last: 1 }

export const AWS_BUDGETS: Readonly<Record<CallKind | 'sweep', Budget>> = {
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

interface MemoryMachine {
  readonly id: string
  readonly node: string
  readonly limits: Limits
}

/** An interface with its past, oldest first; undefined from when it was deleted. */
interface History {
  readonly versions: { readonly atMs: number; readonly nic: SeenNic | undefined }[]
}

export class MemoryAws {
  readonly #options: AwsOptions
  readonly #frontend: Frontend
  readonly #spaces = new Map<SubnetId, AddressSpace>()
  readonly #machines = new Map<string, MemoryMachine>()
  readonly #nics = new Map<NicId, SeenNic>()
  readonly #past = new Map<NicId, History>()
  readonly #byMachine = new Map<string, Set<NicId>>()
  readonly #tokens = new Map<string, { readonly nic: NicId; readonly asked: string }>()
  readonly #latencies: Latencies
  #lastNic = 0
  /** Called when a machine gets or loses a device. */
  onDevice: (machine: string, nic: SeenNic, there: boolean) => void = () => {}

  constructor(options: AwsOptions) {
    this.#options = options
    this.#latencies = { ...LATENCIES, ...options.latencies }
    this.#frontend = new Frontend(options)
    for (const { id, cidr } of options.subnets)
      this.#spaces.set(id, new AddressSpace(parsePrefix(cidr), RESERVED, options.random))
  }

  get tallies(): ReadonlyMap<string, Tally> {
    return this.#frontend.tallies
  }
  /** As they are. */
  get nics(): ReadonlyMap<NicId, SeenNic> {
    return this.#nics
  }
  free(subnet: SubnetId): number {
    return this.#spaceOf(subnet).free
  }

  /** Starts a machine with its first interface. */
  addMachine(machine: MemoryMachine, subnet: SubnetId): void {
    this.#machines.set(machine.id, machine)
    const nic = this.#make(subnet, { token: '', node: '', forPods: true })
    this.#put({ ...nic, machine: machine.id, index: 0, status: 'attached', deletedWithMachine: true })
  }

  /** Ends a machine: its interfaces are deleted with it, or stay. */
  removeMachine(id: string): void {
    this.#machines.delete(id)
    for (const nic of this.#of(id)) {
      if (nic.deletedWithMachine) this.#remove(nic)
      else this.#put({ ...nic, machine: '', index: -1, status: 'available' })
    }
  }

  call(machine: string, call: Call, done: (answer: Reply | Failure) => void): void {
    this.#frontend.request(
      AWS_BUDGETS[call.kind],
      this.#latencies[call.kind],
      () => this.#carryOut(machine, call),
      done,
    )
  }

  sweep(done: (answer: Sweep | Failure) => void): void {
    const work = (): Sweep => {
      const nics = [...this.#past.keys()].flatMap(id => this.#shown(id) ?? [])
      const subnets = this.#options.subnets.map(({ id, cidr, zone }) => {
        return { id, zone, cidrs: [cidr], free: this.#spaceOf(id).free, forNics: true, reserved: [] }
      })
      return { nics, subnets }
    }
    this.#frontend.request(AWS_BUDGETS.sweep, this.#latencies.sweep, work, done)
  }

  #carryOut(machine: string, call: Call): Reply {
    switch (call.kind) {
      case 'observe':
        return { nics: this.#shownOf(machine) }
      case 'assign': {
        const nic = this.#nic(call.nic)
        const room = this.#limits(machine).slots - nic.blocks.length
        if (call.count > room) refuse('limit', `PrivateIpAddressLimitExceeded: ${nic.id} has room for ${room}`)
        const blocks = this.#take(nic.subnet, call.length, call.count)
        this.#put({ ...nic, blocks: [...nic.blocks, ...blocks] })
        return { nics: [{ ...nic, blocks }] }
      }
      case 'release': {
        const nic = this.#nic(call.nic)
        const lacking = call.blocks.find(block => !nic.blocks.includes(block))
        if (lacking !== undefined) refuse('gone', `InvalidParameterValue: ${lacking} is not assigned to ${nic.id}`)
        for (const block of call.blocks) this.#spaceOf(nic.subnet).give(block)
        this.#put({ ...nic, blocks: nic.blocks.filter(block => !call.blocks.includes(block)) })
        return { nics: [] }
      }
      case 'create':
        return { nics: [this.#create(machine, call)] }
      case 'attach':
        return this.#attach(machine, call.nic, call.index)
      case 'protect':
        this.#put({ ...this.#attached(call.nic), deletedWithMachine: true })
        return { nics: [] }
      case 'detach': {
        const nic = this.#attached(call.nic)
        if (nic.index === 0) refuse('invalid', `OperationNotPermitted: ${nic.id} is the primary interface`)
        this.#put({ ...nic, machine: '', index: -1, status: 'available', deletedWithMachine: false })
        this.onDevice(machine, nic, false)
        return { nics: [] }
      }
      case 'delete': {
        const nic = this.#nic(call.nic)
        if (nic.status !== 'available') refuse('conflict', `InvalidParameterValue: ${nic.id} is in use`)
        this.#remove(nic)
        return { nics: [] }
      }
      case 'write':
        return refuse('invalid', 'EC2 has no such call')
    }
  }

  #create(machine: string, { token, subnet, length, count }: CreateCall): SeenNic {
    const asked = JSON.stringify([subnet, length, count])
    const before = this.#tokens.get(token)
    if (before !== undefined) {
      if (before.asked !== asked) refuse('invalid', 'IdempotentParameterMismatch')
      return this.#nic(before.nic)
    }
    const { node, limits } = this.#machine(machine)
    if (count > limits.slots)
      refuse('limit', `PrivateIpAddressLimitExceeded: an interface has room for ${limits.slots}`)
    const nic = this.#make(subnet, { token, node, forPods: true })
    const blocks = this.#take(subnet, length, count, nic)
    this.#tokens.set(token, { nic: nic.id, asked })
    const made = { ...nic, blocks }
    this.#put(made)
    return made
  }

  #attach(machine: string, id: NicId, index: number): Reply {
    const nic = this.#nic(id)
    const own = this.#of(machine)
    if (nic.status !== 'available') refuse('conflict', `InvalidNetworkInterface.InUse: ${id}`)
    if (own.some(other => other.index === index)) refuse('conflict', `InvalidParameterValue: index ${index} is in use`)
    if (own.length >= this.#limits(machine).nics) refuse('limit', `AttachmentLimitExceeded: ${machine}`)
    const attached: SeenNic = { ...nic, machine, index, status: 'attached', deletedWithMachine: false }
    this.#put(attached)
    this.#options.timer.after(this.#latencies.attach / 2 + this.#latencies.device, () => {
      const now = this.#nics.get(id)
      if (now?.machine === machine) this.onDevice(machine, now, true)
    })
    return { nics: [attached] }
  }

  #make(subnet: SubnetId, of: Pick<SeenNic, 'token' | 'node' | 'forPods'>): SeenNic {
    const address = this.#spaceOf(subnet).takeAddress()
    if (address === undefined) refuse('full', `InsufficientFreeAddressesInSubnet: ${subnet}`)
    const n = ++this.#lastNic
    const mac = [0x02, 0, 0, n >> 16, n >> 8, n].map(byte => (byte & 0xff).toString(16).padStart(2, '0')).join(':')
    return {
      ...of,
      id: `eni-${n.toString(16).padStart(8, '0')}`,
      mac,
      subnet,
      status: 'available',
      machine: '',
      index: -1,
      deletedWithMachine: false,
      addresses: [address],
      blocks: [],
    }
  }

  /** All of them or none; with `made`, which then goes back, too. */
  #take(subnet: SubnetId, length: number, count: number, made?: SeenNic): Prefix[] {
    const space = this.#spaceOf(subnet)
    const taken: Prefix[] = []
    for (let n = 0; n < count; n++) {
      const address = length === 32 ? space.takeAddress() : undefined
      const block = length === 32 ? address && `${address}/32` : space.takePrefix(length)
      if (block !== undefined) {
        taken.push(block)
        continue
      }
      for (const back of [...taken, ...(made?.addresses ?? []).map(a => `${a}/32`)]) space.give(back)
      if (length === 32) refuse('full', `InsufficientFreeAddressesInSubnet: ${subnet}`)
      refuse('fragmented', `InsufficientCidrBlocks: ${subnet} has no free /${length}`)
    }
    return taken
  }

  #remove(nic: SeenNic): void {
    const space = this.#spaceOf(nic.subnet)
    for (const block of [...nic.blocks, ...nic.addresses.map(address => `${address}/32`)]) space.give(block)
    this.#nics.delete(nic.id)
    this.#byMachine.get(nic.machine)?.delete(nic.id)
    this.#remember(nic.id, undefined)
  }

  #put(nic: SeenNic): void {
    const before = this.#nics.get(nic.id)
    if (before !== undefined) this.#byMachine.get(before.machine)?.delete(nic.id)
    this.#byMachine.set(nic.machine, (this.#byMachine.get(nic.machine) ?? new Set()).add(nic.id))
    this.#nics.set(nic.id, nic)
    this.#remember(nic.id, nic)
  }

  #remember(id: NicId, nic: SeenNic | undefined): void {
    const history = this.#past.get(id) ?? { versions: [] }
    this.#past.set(id, history)
    history.versions.push({ atMs: this.#options.timer.now(), nic })
    const oldest = this.#options.timer.now() - (this.#options.staleMs ?? 0)
    while ((history.versions[1]?.atMs ?? Infinity) <= oldest) history.versions.shift()
    if (history.versions.length === 1 && history.versions[0]?.nic === undefined) this.#past.delete(id)
  }

  /** As a read shows it, which may be late. */
  #shown(id: NicId): SeenNic | undefined {
    const { staleMs = 0, random, timer } = this.#options
    if (staleMs === 0) return this.#nics.get(id)
    const atMs = timer.now() - Math.floor(random() * staleMs)
    return this.#past.get(id)?.versions.findLast(version => version.atMs <= atMs)?.nic
  }

  #shownOf(machine: string): SeenNic[] {
    const { node } = this.#machine(machine)
    if ((this.#options.staleMs ?? 0) === 0) {
      const free = [...(this.#byMachine.get('') ?? [])].flatMap(id => this.#nics.get(id) ?? [])
      return [...this.#of(machine), ...free.filter(nic => nic.node === node)]
    }
    const shown = [...this.#past.keys()].flatMap(id => this.#shown(id) ?? [])
    return shown.filter(nic => nic.machine === machine || (nic.machine === '' && nic.node === node))
  }

  #of(machine: string): SeenNic[] {
    return [...(this.#byMachine.get(machine) ?? [])].flatMap(id => this.#nics.get(id) ?? [])
  }
  #nic(id: NicId): SeenNic {
    return this.#nics.get(id) ?? refuse('gone', `InvalidNetworkInterfaceID.NotFound: ${id}`)
  }
  #attached(id: NicId): SeenNic {
    const nic = this.#nic(id)
    return nic.status === 'attached' ? nic : refuse('conflict', `IncorrectState: ${id} is not attached`)
  }
  #machine(id: string): MemoryMachine {
    return this.#machines.get(id) ?? refuse('gone', `InvalidInstanceID.NotFound: ${id}`)
  }
  #limits(id: string): Limits {
    return this.#machine(id).limits
  }
  #spaceOf(subnet: SubnetId): AddressSpace {
    return this.#spaces.get(subnet) ?? refuse('invalid', `InvalidSubnetID.NotFound: ${subnet}`)
  }
}
