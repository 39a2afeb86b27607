/** States for tests: a machine with a first interface of which all is known, and whatever a test says otherwise. */
import type { Family, Prefix } from '../../daemon/kernel/kernel.ts'
import type { Demand, Failure, Limits, Policy, SeenNic } from './model.ts'
import {
  type BlockPhase,
  type BlockState,
  type Intent,
  type NicState,
  type NodeState,
  NOTHING_PUBLISHED,
  type Pending,
} from './node-state.ts'
import type { SubnetState, World } from './plan.ts'
import { firstState } from './step.ts'

export const AWS_LIMITS: Limits = { nics: 3, slots: 4, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
export const AZURE_LIMITS: Limits = { nics: 1, slots: 6, lengths: { 4: [28, 32], 6: [] }, wholeWrites: true }

export const POLICY: Policy = {
  families: [4],
  preAllocate: 8,
  min: 0,
  maxAbove: 16,
  maxPods: 110,
  releaseDelayMs: 180_000,
  firstNic: 0,
  prefixes: true,
}

const SINCE = { sinceMs: 0, missed: 0, missedMs: 0 }

export function nicOf(id: string, of: Partial<NicState> = {}): NicState {
  const index = Number(id.replace(/\D/g, ''))
  const token = index === 0 ? '' : `token-${index}`
  return { id, mac: '', subnet: 's', index, addresses: [], phase: 'ready', token, ...SINCE, ...of }
}

/** As the cloud shows it at rest. */
export function seenOf(id: string, of: Partial<SeenNic> = {}): SeenNic {
  const { mac, subnet, index, addresses, token } = nicOf(id)
  const there = { status: 'attached', machine: 'i-a', deletedWithMachine: true, forPods: true, node: '' } as const
  return { id, mac, subnet, index, addresses, token, ...there, blocks: [], ...of }
}

/** From texts such as `10.0.0.16/28 on eni-0 draining`. */
export function blocksOf(...texts: readonly string[]): ReadonlyMap<Prefix, BlockState> {
  const blocks = texts.map((text, n): BlockState => {
    const [block = '', , nic = '', phase = 'allocatable'] = text.split(' ')
    return { block, nic, phase: phase as BlockPhase, born: n + 1, ...SINCE }
  })
  return new Map(blocks.map(block => [block.block, block]))
}

export interface StateParts extends Partial<Omit<NodeState, 'nics' | 'blocks' | 'demand' | 'intents' | 'pending'>> {
  readonly nics?: readonly NicState[]
  readonly blocks?: readonly string[]
  readonly demand?: Partial<Demand>
  readonly intents?: readonly Intent[]
  readonly calls?: readonly Pending['call'][]
}

export function stateOf({ nics, blocks = [], demand, intents = [], calls = [], ...of }: StateParts = {}): NodeState {
  const first = firstState({ name: 'a', uid: 'uid', policy: POLICY }, NOTHING_PUBLISHED, 0)
  const families: [Family, Demand][] =
    demand === undefined ? [] : [[4, { assigned: 0, waiting: 0, cooling: 0, ...demand }]]
  return {
    ...first,
    limits: AWS_LIMITS,
    observedMs: 0,
    demand: new Map(families),
    nics: new Map((nics ?? [nicOf('eni-0')]).map(nic => [nic.id, nic])),
    blocks: blocksOf(...blocks),
    lastBorn: blocks.length,
    intents: new Map(intents.map(intent => [intent.token, intent])),
    pending: new Map(calls.map((call, n) => [n + 1, { id: n + 1, call, sinceMs: 0 }])),
    lastCall: calls.length,
    ...of,
  }
}

export function worldOf({
  subnets,
  ...of
}: { readonly subnets?: Readonly<Record<string, Partial<SubnetState>>> } & Partial<
  Omit<World, 'subnets'>
> = {}): World {
  const known = Object.entries(subnets ?? { s: {} })
  return {
    subnets: new Map(known.map(([id, is]) => [id, { id, free: 200, fullUntilMs: 0, fragmentedUntilMs: 0, ...is }])),
    choices: known.map(([id]) => id),
    refillMs: 1000,
    growth: true,
    releases: true,
    ...of,
  }
}

/** A line for each block, with the number of its life. */
export function printBlocks({ blocks }: Pick<NodeState, 'blocks'>): string[] {
  return [...blocks.values()].map(({ block, nic, phase, born }) => `${block} on ${nic} ${phase} ${born}`)
}

export function printNics({ nics }: Pick<NodeState, 'nics'>): string[] {
  return [...nics.values()].map(({ id, phase, index }) => `${id} ${phase} ${index}`)
}

export function failureOf(kind: Failure['kind']): Failure {
  return { kind, message: kind }
}
