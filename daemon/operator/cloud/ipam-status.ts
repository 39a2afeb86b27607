/** What the leader says of addresses from the cloud: budgets, subnets, and each node. */
import type { Fleet } from '../../../plugins/cloud-core/fleet.ts'
import { NO_DEMAND, type Demand } from '../../../plugins/cloud-core/model.ts'
import { sizeOfBlock } from '../../../plugins/cloud-core/node-blocks.ts'
import type { BlockPhase, NodeState } from '../../../plugins/cloud-core/node-state.ts'
import { have } from '../../../plugins/cloud-core/target.ts'
import { familyIn } from '../../kernel/ip.ts'
import { NO_API } from './figures.ts'
import type { Availability, Reason } from './availability.ts'

export interface IpamStatus {
  readonly provider: string
  /** `normal`, or what is not done while the cloud answers with errors. */
  readonly mode: string
  /** The last error, while there are only errors. */
  readonly failure?: string
  readonly budgets: readonly BudgetStatus[]
  readonly subnets: readonly SubnetStatus[]
  /** Interfaces that nobody uses, found and not deleted yet. */
  readonly leftovers: number
  readonly nodes: readonly IpamNode[]
}

export interface BudgetStatus {
  readonly name: string
  /** Calls that may be made at once, and that come to it in a second. */
  readonly calls: number
  readonly perSecond: number
}

export interface SubnetStatus {
  readonly id: string
  readonly zone: string
  readonly free: number
  /** It had no address left, or no whole prefix, and is not asked for so many seconds. */
  readonly fullSeconds?: number
  readonly fragmentedSeconds?: number
}

export interface IpamNode {
  readonly name: string
  readonly machine: string
  readonly interfaces: number
  /** IPv4 addresses by the phase of their blocks. */
  readonly addresses: Readonly<Partial<Record<BlockPhase, number>>>
  /** Those that pods may get, with what is under way. */
  readonly has: number
  readonly demand: Demand
  /** How long pods have been waiting. */
  readonly waitingSeconds?: number
  /** Kinds of calls under way. */
  readonly calls: readonly string[]
  readonly shortage?: string
  readonly failure?: string
}

type Said = (node: string) => Pick<Availability, 'reason' | 'message'> | undefined

export function ipamStatus(provider: string, fleet: Fleet, said: Said, nowMs: number): IpamStatus {
  const { failure } = fleet
  return {
    provider,
    mode: fleet.mode(nowMs),
    ...(failure !== undefined && { failure: failure.message }),
    budgets: [...fleet.turns.buckets]
      .filter(([name]) => name !== NO_API)
      .map(([name, bucket]) => ({ name, calls: bucket.tokens(nowMs), perSecond: bucket.perSecond })),
    subnets: subnetsOf(fleet, nowMs),
    leftovers: fleet.leftovers,
    nodes: fleet.nodes
      .map(({ node, state }) => nodeOf(state, node.machine, said(node.name), nowMs))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

function subnetsOf(fleet: Fleet, nowMs: number): SubnetStatus[] {
  const rest = (untilMs: number): number => Math.ceil((untilMs - nowMs) / 1000)
  return [...fleet.subnets.all.values()]
    .map(({ id, free, fullUntilMs, fragmentedUntilMs }) => {
      const zone = fleet.subnets.seen.get(id)?.zone ?? ''
      return {
        id,
        zone,
        free,
        ...(fullUntilMs > nowMs && { fullSeconds: rest(fullUntilMs) }),
        ...(fragmentedUntilMs > nowMs && { fragmentedSeconds: rest(fragmentedUntilMs) }),
      }
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

function nodeOf(state: NodeState, machine: string, said: ReturnType<Said>, nowMs: number): IpamNode {
  const { name, waitingSinceMs } = state
  const fails = said?.reason === 'Denied' || said?.reason === 'CloudFails'
  const failure = state.failure?.message ?? (fails ? said.message : undefined)
  const shortage = SHORT[said?.reason ?? 'AddressesComing']
  return {
    name,
    machine,
    interfaces: state.nics.size,
    addresses: addressesOf(state),
    has: have(state),
    demand: state.demand.get(4) ?? NO_DEMAND,
    ...(waitingSinceMs !== undefined && { waitingSeconds: Math.round((nowMs - waitingSinceMs) / 1000) }),
    calls: [...state.pending.values()].map(({ call }) => call.kind),
    ...(shortage !== undefined && { shortage }),
    ...(failure !== undefined && { failure }),
  }
}

/** What is used up. */
const SHORT: Readonly<Partial<Record<Reason, 'machine' | 'subnets'>>> = {
  MachineFull: 'machine',
  SubnetsFull: 'subnets',
}

function addressesOf({ blocks }: NodeState): Partial<Record<BlockPhase, number>> {
  const sums: Partial<Record<BlockPhase, number>> = {}
  for (const block of blocks.values())
    if (familyIn(block.block) === 4) sums[block.phase] = (sums[block.phase] ?? 0) + sizeOfBlock(block)
  return sums
}
