/** Whether a node gets the addresses that its pods need, and if not, why and what helps. Pure. */
import type { Mode } from '../../../plugins/cloud-core/composure.ts'
import type { Failure } from '../../../plugins/cloud-core/model.ts'
import type { NodeState } from '../../../plugins/cloud-core/node-state.ts'
import type { CloudProvider, Machine } from '../../../plugins/cloud-core/provider.ts'
import { mostAddresses } from '../../../plugins/cloud-core/room.ts'
import { have, spare, target } from '../../../plugins/cloud-core/target.ts'

export type Reason = 'AddressesComing' | 'MachineFull' | 'SubnetsFull' | 'CloudFails' | 'Denied'

/** What is wrong, or that nothing is. */
export interface Availability {
  /** `AddressesComing` is the good one. */
  readonly reason: Reason
  /** For people, with the way out. */
  readonly message: string
  /** Nothing is free on the node: a pod that comes gets nothing while the reason is a bad one. */
  readonly empty: boolean
  /** Waiting brings no pod an address soon: requests are refused, or go to another pool. */
  readonly lasting: boolean
  /** IPv4 addresses that the node can give to pods at most, as things stand; undefined while that is not known. */
  readonly most: number | undefined
}

export interface NodeCircumstances {
  readonly provider: CloudProvider['name']
  readonly machine: Machine
  readonly state: NodeState
  /** What the fleet says of it, asked only where nothing is free. */
  readonly shortage: () => 'machine' | 'subnets' | undefined
  /** Subnets that new interfaces of it may be in. */
  readonly subnets: readonly string[]
  /** Why its limits are not known. */
  readonly unlimited: Failure | undefined
  readonly mode: Mode
  /** Of the cloud as a whole, while it answers with errors alone. */
  readonly failing: Failure | undefined
}

/** Plugins by their clouds, as their sections of the configuration are called. */
export const SECTIONS: Readonly<Record<CloudProvider['name'], string>> = { aws: 'aws-eni', azure: 'azure', gcp: 'gcp' }

/** One failed call is followed by another; so many in a row are no accident. */
const FAILURES = 3

export function availabilityOf(node: NodeCircumstances, nowMs: number): Availability {
  const { state } = node
  const most = mostAddresses(state)
  const empty = spare(state) <= 0
  const lacking = target(state, 0, nowMs) > have(state)
  const short = empty ? node.shortage() : undefined
  if (short !== undefined) {
    const reason = short === 'machine' ? 'MachineFull' : 'SubnetsFull'
    const message = short === 'machine' ? machineFull(node) : subnetsFull(node)
    // What it has is all that it will have.
    const held = most === undefined ? undefined : Math.min(most, have(state))
    return { reason, message, empty, lasting: true, most: held }
  }
  const failure = lacking ? failureOf(node) : undefined
  if (failure === undefined) return { reason: 'AddressesComing', message: COMING, empty, lasting: false, most }
  const { kind } = failure
  const lasting = kind === 'denied' || kind === 'invalid' || node.mode === 'no growth'
  return { reason: kind === 'denied' ? 'Denied' : 'CloudFails', message: failed(node, failure), empty, lasting, most }
}

export const COMING = 'addresses come from the cloud as pods need them'

/** What keeps more from coming, once it is no accident. */
function failureOf({ state, unlimited, mode, failing }: NodeCircumstances): Failure | undefined {
  const own = state.failure ?? unlimited
  // A look at everything is what a new node waits for.
  const failure = own ?? (state.observedMs === undefined || mode !== 'normal' ? failing : undefined)
  if (failure === undefined) return undefined
  switch (failure.kind) {
    case 'denied':
    case 'invalid':
      return failure
    case 'full':
    case 'fragmented':
    case 'limit':
      return undefined
    // Once is nothing to speak of: the budget sees to it.
    case 'throttled':
      return state.failures >= FAILURES ? failure : undefined
    case 'unreachable':
    case 'gone':
    case 'conflict':
    case 'ambiguous':
      return mode !== 'normal' || state.failures >= FAILURES ? failure : undefined
  }
}

function machineFull({ machine, state, provider }: NodeCircumstances): string {
  const prefixes = state.policy.prefixes ? '' : `, switch prefixes on (${SECTIONS[provider]}.prefixes)`
  return (
    `machine ${machine.id}${machine.type === '' ? '' : ` of type ${machine.type}`} holds ${have(state)} addresses for pods, ` +
    `as many as it can: take a larger type${prefixes}, or let its kubelet take fewer pods`
  )
}

function subnetsFull({ machine, provider, subnets, state }: NodeCircumstances): string {
  const section = SECTIONS[provider]
  const zone = machine.zone === '' ? '' : ` of zone ${machine.zone}`
  const own = [...new Set([...subnets, ...[...state.nics.values()].map(({ subnet }) => subnet)])].sort()
  const add = `add subnets${zone} to those that ${section}.subnets chooses`
  if (own.length === 0) return `no subnet${zone} may be used: ${add}`
  return `no addresses are left in ${own.join(', ')}: ${add}, or give addresses there back; they are asked again every 2 minutes`
}

function failed({ provider, mode }: NodeCircumstances, { kind, message }: Failure): string {
  if (kind === 'denied')
    return `${message}; what the operator must be allowed: causeway ipam permissions --cloud ${provider}`
  const rests = mode === 'normal' ? '' : ` (the cloud answers with errors: ${mode})`
  return `${message}${rests}; it is tried again by itself`
}

/** What is bad is said at once, and that it is over only when it is sure: calls that find out look like it. */
const HOLD_MS = 30_000

export class Held {
  readonly #said = new Map<string, Availability>()
  /** Since when it has been well again. */
  readonly #wellSince = new Map<string, number>()

  get(name: string): Availability | undefined {
    return this.#said.get(name)
  }

  delete(name: string): void {
    this.#said.delete(name)
    this.#wellSince.delete(name)
  }

  /** Takes in what a node is like now; what is to be said of it. */
  put(name: string, now: Availability, nowMs: number): Availability {
    const before = this.#said.get(name)
    const over = before !== undefined && isBad(before) && !isBad(now)
    if (over && now.empty) {
      const since = this.#wellSince.get(name) ?? nowMs
      this.#wellSince.set(name, since)
      if (nowMs - since < HOLD_MS) return before
    }
    this.#wellSince.delete(name)
    this.#said.set(name, now)
    return now
  }
}

export function isBad({ reason }: Pick<Availability, 'reason'>): boolean {
  return reason !== 'AddressesComing'
}
