/** What in-memory clouds have in common, for whoever runs against any of them. */
import type { Address, Prefix } from '../../../daemon/kernel/kernel.ts'
import type { Call, CallKind, Failure, Limits, NicId, Reply, SeenNic, SubnetId } from '../model.ts'
import type { Budget, CloudProvider, Rate, Sweep } from '../provider.ts'
import type { Reservation } from './address-space.ts'
import type { Faults, FrontendOptions, Tally } from './frontend.ts'

export interface MemorySubnet {
  readonly id: SubnetId
  readonly zone: string
  readonly cidr: Prefix
  /** Of IPv6, whose blocks come out of it. */
  readonly cidr6?: Prefix
  /** Where blocks come from, when it is not `cidr` (Google's secondary ranges). */
  readonly secondary?: Prefix
  readonly reservations?: readonly Reservation[]
}

export interface MemoryCloudOptions extends FrontendOptions {
  readonly subnets: readonly MemorySubnet[]
  readonly latencies?: Partial<Latencies>
  /** Reads show what was up to so long ago, each interface by itself. */
  readonly staleMs?: number
  /** Of every budget, instead of the cloud's own. */
  readonly rate?: Rate
}

/** Milliseconds that calls take. */
export interface Latencies extends Readonly<Record<CallKind | 'sweep', number>> {
  /** From the answer to an attach until the machine has the device. */
  readonly device: number
  /** From when a detach is carried out until the interface is free. */
  readonly detached: number
}

export type Budgets = Readonly<Record<CallKind | 'sweep', Budget>>

/** With another rate, if there is one. */
export function withRate(budgets: Budgets, rate: Rate | undefined): Budgets {
  if (rate === undefined) return budgets
  const { assign, release, create, attach, protect, detach, delete: remove, write, observe, sweep } = budgets
  const of = ({ name }: Budget): Budget => ({ name, rate })
  return {
    assign: of(assign),
    release: of(release),
    create: of(create),
    attach: of(attach),
    protect: of(protect),
    detach: of(detach),
    delete: of(remove),
    write: of(write),
    observe: of(observe),
    sweep: of(sweep),
  }
}

export interface MemoryMachine {
  readonly id: string
  /** Name of its Node. */
  readonly node: string
  readonly limits: Limits
  /** Of its first interface; absent: any that is free. */
  readonly address?: Address
}

/** An interface changed: undefined before it was made, and after it was deleted. */
export type NicChange = (before: SeenNic | undefined, after: SeenNic | undefined) => void

export interface MemoryCloud {
  readonly name: CloudProvider['name']
  readonly budgets: Budgets
  /** By name of the budget. */
  readonly tallies: ReadonlyMap<string, Tally>
  /** All interfaces, as they are. */
  readonly nics: ReadonlyMap<NicId, SeenNic>
  readonly machines: ReadonlyMap<string, MemoryMachine>
  /** What goes wrong from now on. */
  faults: Faults
  /** Writes that were asked for while another one of the same machine was under way; always 0 where no write is of a whole machine. */
  readonly overlapping: number
  /** Called when a machine gets or loses a device. */
  onDevice: (machine: string, nic: SeenNic, there: boolean) => void
  /** Called at the moment of each change. */
  onChange: NicChange
  /** IPv4 addresses that can still be given one by one. */
  single(subnet: SubnetId): number
  /** Starts a machine with its first interface, and further ones at the next indices. */
  addMachine(machine: MemoryMachine, subnet: SubnetId, further?: readonly SubnetId[]): void
  /** Ends a machine: its interfaces are deleted with it, or stay. */
  removeMachine(id: string): void
  call(machine: string, call: Call, done: (answer: Reply | Failure) => void): void
  sweep(done: (answer: Sweep | Failure) => void): void
}
