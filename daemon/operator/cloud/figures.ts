/** Addresses from the cloud in numbers, as the leader has them. Pure. */
import type { Fleet } from '../../../plugins/cloud-core/fleet.ts'
import type { CallKind, SubnetId } from '../../../plugins/cloud-core/model.ts'
import { NO_DEMAND } from '../../../plugins/cloud-core/model.ts'
import { sizeOfBlock } from '../../../plugins/cloud-core/node-blocks.ts'
import { BLOCK_PHASES } from '../../state/cloud-rows.ts'
import type { BlockPhase } from '../../../plugins/cloud-core/node-state.ts'
import { familyIn } from '../../kernel/ip.ts'
import type { Reason } from './availability.ts'

export interface CloudFigures {
  /** By what the cloud counts together. */
  readonly budgets: readonly { readonly api: string; readonly calls: number; readonly perSecond: number }[]
  /** Nodes that wait for their turn, by the same. */
  readonly queued: ReadonlyMap<string, number>
  /** IPv4 addresses by the phase of their blocks, and what pods do with them. */
  readonly addresses: Readonly<Record<BlockPhase, number>>
  readonly demand: { readonly assigned: number; readonly waiting: number; readonly cooling: number }
  /** Share of the addresses of blocks in use that no pod has; 0 where none is in use. */
  readonly fragmentation: number
  readonly leftovers: number
  /** Interfaces that would outlive their machine. */
  readonly unprotected: number
  readonly subnets: readonly SubnetFigures[]
  /** Of the node that was looked at least lately, in seconds. */
  readonly observationAge: number
  readonly mode: ReturnType<Fleet['mode']>
  /** Nodes by why they get no more, without those that do. */
  readonly short: ReadonlyMap<Reason, number>
}

export interface SubnetFigures {
  readonly id: string
  readonly zone: string
  readonly free: number
  readonly prefixes: number
}

export interface FiguresOf {
  readonly fleet: Fleet
  /** Whose budget a call is paid from. */
  readonly apiOf: (kind: CallKind) => string
  readonly prefixes: ReadonlyMap<SubnetId, number>
  /** When the leader began to look. */
  readonly beganMs: number
  readonly said: (node: string) => Reason | undefined
}

/** Of budgets that nothing is paid from. */
export const NO_API = 'none'

export function cloudFigures({ fleet, apiOf, prefixes, beganMs, said }: FiguresOf, nowMs: number): CloudFigures {
  const addresses = Object.fromEntries(BLOCK_PHASES.map(phase => [phase, 0])) as Record<BlockPhase, number>
  const demand = { assigned: 0, waiting: 0, cooling: 0 }
  const short = new Map<Reason, number>()
  let [inUse, unprotected, oldestMs] = [0, 0, nowMs]
  for (const { state } of fleet.nodes) {
    const idle = new Set(state.idle)
    for (const block of state.blocks.values()) {
      if (familyIn(block.block) !== 4) continue
      addresses[block.phase] += sizeOfBlock(block)
      if (block.phase === 'allocatable' && !idle.has(block.block)) inUse += sizeOfBlock(block)
    }
    const { assigned, waiting, cooling } = state.demand.get(4) ?? NO_DEMAND
    demand.assigned += assigned
    demand.waiting += waiting
    demand.cooling += cooling
    for (const { phase } of state.nics.values()) if (phase === 'attached') unprotected++
    oldestMs = Math.min(oldestMs, state.observedMs ?? beganMs)
    const reason = said(state.name)
    if (reason !== undefined && reason !== 'AddressesComing') short.set(reason, (short.get(reason) ?? 0) + 1)
  }
  const queued = new Map<string, number>()
  for (const [kind, nodes] of fleet.turns.wanting) queued.set(apiOf(kind), (queued.get(apiOf(kind)) ?? 0) + nodes.size)
  return {
    budgets: [...fleet.turns.buckets]
      .filter(([api]) => api !== NO_API)
      .map(([api, bucket]) => ({ api, calls: bucket.tokens(nowMs), perSecond: bucket.perSecond })),
    queued,
    addresses,
    demand,
    fragmentation: inUse === 0 ? 0 : Math.max(0, 1 - demand.assigned / inUse),
    leftovers: fleet.leftovers,
    unprotected,
    subnets: [...fleet.subnets.seen.values()].map(({ id, zone }) => {
      return { id, zone, free: fleet.subnets.all.get(id)?.free ?? 0, prefixes: prefixes.get(id) ?? 0 }
    }),
    observationAge: (nowMs - oldestMs) / 1000,
    mode: fleet.mode(nowMs),
    short,
  }
}
