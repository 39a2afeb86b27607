/** What a cloud in memory holds: machines, interfaces with their past, subnets. Reads may show the past. */
import { familyIn } from '../../../daemon/kernel/ip.ts'
import type { Address, Family, Prefix } from '../../../daemon/kernel/kernel.ts'
import type { NicId, Request, SeenNic, SeenSubnet, SubnetId } from '../model.ts'
import { AddressSpace, PrefixSpace6, type Reserved } from './address-space.ts'
import type { MemoryCloudOptions, MemoryMachine, MemorySubnet, NicChange } from './cloud.ts'
import { refuse } from './frontend.ts'

export interface EstateOptions extends Pick<MemoryCloudOptions, 'timer' | 'random' | 'subnets' | 'staleMs'> {
  readonly reserved: Reserved
  /** Begins the ids of interfaces. */
  readonly nicPrefix: string
}

interface Space {
  readonly subnet: MemorySubnet
  readonly own: AddressSpace
  /** Where blocks come from. */
  readonly blocks: AddressSpace
  readonly blocks6: PrefixSpace6 | undefined
}

/** Oldest first; undefined from when it was deleted. */
type Past = { readonly atMs: number; readonly nic: SeenNic | undefined }[]

export class Estate {
  readonly machines = new Map<string, MemoryMachine>()
  readonly nics = new Map<NicId, SeenNic>()
  onChange: NicChange = () => {}
  readonly #options: EstateOptions
  readonly #spaces = new Map<SubnetId, Space>()
  /** Those that have ended, which late calls still name. */
  readonly #ended = new Map<string, MemoryMachine>()
  readonly #past = new Map<NicId, Past>()
  /** Interfaces that a machine or a node has, or had: what a look at one must go through. */
  readonly #byMachine = new Map<string, Set<NicId>>()
  readonly #byNode = new Map<string, Set<NicId>>()
  #lastNic = 0

  constructor(options: EstateOptions) {
    this.#options = options
    for (const subnet of options.subnets) this.#spaces.set(subnet.id, spaceOf(subnet, options))
  }

  addMachine(machine: MemoryMachine): void {
    this.machines.set(machine.id, machine)
  }
  endMachine(id: string): void {
    const machine = this.machines.get(id)
    if (machine !== undefined) this.#ended.set(id, machine)
    this.machines.delete(id)
  }
  machine(id: string): MemoryMachine {
    return this.machines.get(id) ?? refuse('gone', `${id} is not there`)
  }
  /** Also one that has ended. */
  everMachine(id: string): MemoryMachine {
    return this.#ended.get(id) ?? this.machine(id)
  }

  nic(id: NicId): SeenNic {
    return this.nics.get(id) ?? refuse('gone', `${id} is not there`)
  }
  /** Attached to a machine, coming or going; by index. */
  of(machine: string): SeenNic[] {
    const found: SeenNic[] = []
    for (const id of this.#byMachine.get(machine) ?? []) {
      const nic = this.nics.get(id)
      if (nic?.machine === machine) found.push(nic)
    }
    return found.sort((a, b) => a.index - b.index)
  }

  put(nic: SeenNic): void {
    const before = this.nics.get(nic.id)
    this.nics.set(nic.id, nic)
    if (nic.machine !== '') added(this.#byMachine, nic.machine, nic.id)
    if (nic.node !== '') added(this.#byNode, nic.node, nic.id)
    this.#remember(nic.id, nic)
    this.onChange(before, nic)
  }

  remove(nic: SeenNic): void {
    const { own } = this.#space(nic.subnet)
    for (const address of nic.addresses) own.give(`${address}/32`)
    this.give(nic, nic.blocks)
    this.nics.delete(nic.id)
    this.#remember(nic.id, undefined)
    this.onChange(nic, undefined)
  }

  /** A new interface with its own address, the wished one or any, which is not among the others yet. */
  newNic(subnet: SubnetId, of: Pick<SeenNic, 'token' | 'node' | 'forPods'>, wished?: Address): SeenNic {
    const { own } = this.#space(subnet)
    const address = wished === undefined ? own.takeAddress() : own.takeThis(wished)
    if (address === undefined) refuse('full', `${subnet} has no free address`)
    const n = ++this.#lastNic
    const mac = [0x02, 0, 0, n >> 16, n >> 8, n].map(byte => (byte & 0xff).toString(16).padStart(2, '0')).join(':')
    const free = { status: 'available', machine: '', index: -1, deletedWithMachine: false } as const
    const id = `${this.#options.nicPrefix}${n.toString(16).padStart(8, '0')}`
    return { ...of, ...free, id, mac, subnet, addresses: [address], blocks: [] }
  }

  /** All blocks of the request or none; refuses with `full` or `fragmented`. */
  take(subnet: SubnetId, { family, length, count }: Omit<Request, 'nic'>): Prefix[] {
    const taken: Prefix[] = []
    for (let n = 0; n < count; n++) {
      const block = this.#takeOne(subnet, family, length)
      if (block !== undefined) {
        taken.push(block)
        continue
      }
      this.give({ subnet }, taken)
      if (length === 32) refuse('full', `${subnet} has no free address`)
      refuse('fragmented', `${subnet} has no free /${length}`)
    }
    return taken
  }

  give({ subnet }: Pick<SeenNic, 'subnet'>, blocks: readonly Prefix[]): void {
    const space = this.#space(subnet)
    for (const block of blocks)
      if (familyIn(block) === 4) space.blocks.give(block)
      else space.blocks6?.give(block)
  }

  giveOwn({ subnet, addresses }: SeenNic): void {
    for (const address of addresses) this.#space(subnet).own.give(`${address}/32`)
  }

  single(subnet: SubnetId): number {
    return this.#space(subnet).blocks.single
  }

  /** Everything, as a look shows it. */
  shown(): SeenNic[] {
    return [...this.#past.keys()].flatMap(id => this.#shown(id) ?? [])
  }

  /** Interfaces of a machine, and those that are tagged with its node and attached to nothing. */
  shownOf({ id: machine, node }: MemoryMachine): SeenNic[] {
    const ids = new Set([...(this.#byMachine.get(machine) ?? []), ...(this.#byNode.get(node) ?? [])])
    const seen = [...ids].sort().flatMap(id => this.#shown(id) ?? [])
    return seen.filter(nic => nic.machine === machine || (nic.machine === '' && nic.node === node))
  }

  shownSubnets(): SeenSubnet[] {
    return this.#options.subnets.map(({ id, cidr, zone, reservations = [] }) => {
      return { id, zone, cidrs: [cidr], free: this.#space(id).blocks.free, forNics: true, reserved: reservations }
    })
  }

  #takeOne(subnet: SubnetId, family: Family, length: number): Prefix | undefined {
    const { blocks, blocks6 } = this.#space(subnet)
    if (family === 6) return blocks6?.take(length) ?? refuse('invalid', `${subnet} has no IPv6`)
    if (length !== 32) return blocks.takePrefix(length)
    const address = blocks.takeAddress()
    return address && `${address}/32`
  }

  #remember(id: NicId, nic: SeenNic | undefined): void {
    const now = this.#options.timer.now()
    const past = this.#past.get(id) ?? []
    this.#past.set(id, past)
    past.push({ atMs: now, nic })
    const oldest = now - (this.#options.staleMs ?? 0)
    while ((past[1]?.atMs ?? Infinity) <= oldest) past.shift()
  }

  /** As a read shows it, which may be late. */
  #shown(id: NicId): SeenNic | undefined {
    const { staleMs = 0, random, timer } = this.#options
    const atMs = timer.now() - (staleMs === 0 ? 0 : Math.floor(random() * staleMs))
    const past = this.#past.get(id) ?? []
    const last = past.at(-1)
    if (last?.nic === undefined && (last?.atMs ?? 0) <= timer.now() - staleMs) this.#forget(id)
    return past.findLast(version => version.atMs <= atMs)?.nic
  }

  /** Deleted so long ago that no look shows it. */
  #forget(id: NicId): void {
    this.#past.delete(id)
    for (const ids of this.#byNode.values()) ids.delete(id)
    for (const ids of this.#byMachine.values()) ids.delete(id)
  }

  #space(subnet: SubnetId): Space {
    return this.#spaces.get(subnet) ?? refuse('invalid', `${subnet} is not there`)
  }
}

function spaceOf(subnet: MemorySubnet, { random, reserved }: EstateOptions): Space {
  const { cidr, cidr6, secondary, reservations = [] } = subnet
  const own = new AddressSpace({ cidr, reserved, reservations, random })
  const none = { first: 0, last: 0 }
  const blocks = secondary === undefined ? own : new AddressSpace({ cidr: secondary, reserved: none, random })
  return { subnet, own, blocks, blocks6: cidr6 === undefined ? undefined : new PrefixSpace6(cidr6) }
}

function added(sets: Map<string, Set<NicId>>, name: string, id: NicId): void {
  const set = sets.get(name) ?? new Set()
  sets.set(name, set.add(id))
}
