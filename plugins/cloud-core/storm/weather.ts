/** What a seed makes of a storm: the cluster that it comes over, and what goes wrong. */
import type { MemorySubnet } from '../memory/cloud.ts'
import { type Faults, NO_FAULTS } from '../memory/frontend.ts'
import type { Limits, Policy } from '../model.ts'
import type { Rate } from '../provider.ts'
import type { LeaderStep } from '../simulate/simulation.ts'

export type CloudName = 'aws' | 'azure' | 'gcp'

export interface Weather {
  readonly nodes: number
  readonly policy: Policy
  readonly limits: Limits
  readonly cooldownMs: number
  readonly subnets: readonly MemorySubnet[]
  /** Addresses that others have, at random places of each subnet. */
  readonly others: number
  readonly staleMs: number
  readonly rate: Rate | undefined
  readonly faults: Faults
  /** Chance that the leader dies at a step, and after which. */
  readonly deaths: number
  readonly deadly: readonly LeaderStep[]
  /** Chances of an event that it stands still for a while, and that a node vanishes. */
  readonly freezes: number
  readonly vanishes: number
  /** Events, and the longest times between them. */
  readonly events: number
  readonly gapsMs: readonly [number, ...number[]]
  /** Pods that come or go at once. */
  readonly bursts: readonly [number, ...number[]]
  /** Machines have a second interface from the beginning. */
  readonly twoNics: boolean
}

export class Dice {
  readonly #random: () => number
  constructor(random: () => number) {
    this.#random = random
  }
  /** A whole number from 0 up to but without `n`. */
  below(n: number): number {
    return Math.floor(this.#random() * n)
  }
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }
  chance(share: number): boolean {
    return this.#random() < share
  }
  of<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0]
  }
}

export function weatherOf(cloud: CloudName, dice: Dice): Weather {
  const six = cloud === 'aws' && dice.chance(0.2)
  // Everything is given back at once, and comes back soon: races are likely.
  const hectic = dice.chance(0.6)
  const small = dice.chance(hectic ? 0.7 : 0.3)
  return {
    nodes: dice.between(1, hectic ? 2 : 4),
    policy: {
      ...(hectic ? hecticPolicy(dice) : calmPolicy(dice)),
      families: six ? [4, 6] : [4],
      firstNic: firstNicOf(cloud, dice),
    },
    limits: limitsOf(cloud, dice),
    cooldownMs: dice.of(hectic ? [0, 1000] : [0, 5000, 30_000]),
    subnets: subnetsOf(cloud, dice, small ? dice.of([26, 27]) : 22, six),
    others: small ? dice.between(0, 10) : 0,
    staleMs: dice.of([0, 1000, 8000]),
    rate: dice.chance(0.3) ? { burst: dice.between(5, 20), perSecond: dice.between(1, 3) } : undefined,
    faults: faultsOf(dice),
    deaths: dice.of([0, 0.003, 0.02, 0.1]),
    deadly: dice.of([['decided', 'published', 'called', 'answered'], ['called'], ['published', 'called']]),
    freezes: dice.of([0, 0.05]),
    vanishes: dice.of([0, 0.03]),
    events: hectic ? 250 : 80,
    gapsMs: hectic ? [500, 2000, 4000, 12_000] : [100, 2000, 30_000],
    bursts: hectic ? [1, 2, 6] : [1, 3, 20],
    twoNics: cloud !== 'aws' && dice.chance(0.3),
  }
}

type NumbersOfPolicy = Omit<Policy, 'families' | 'firstNic'>

function calmPolicy(dice: Dice): NumbersOfPolicy {
  return {
    preAllocate: dice.between(0, 6),
    min: dice.of([0, 0, 5]),
    maxAbove: dice.between(0, 10),
    maxPods: dice.between(10, 40),
    releaseDelayMs: dice.of([10_000, 30_000, 180_000]),
    prefixes: dice.chance(0.6),
  }
}

function hecticPolicy(dice: Dice): NumbersOfPolicy {
  return {
    preAllocate: dice.between(0, 1),
    min: 0,
    maxAbove: 0,
    maxPods: dice.between(4, 20),
    releaseDelayMs: dice.of([0, 1000, 3000]),
    prefixes: dice.chance(0.3),
  }
}

function firstNicOf(cloud: CloudName, dice: Dice): number {
  return cloud === 'aws' && dice.chance(0.3) ? 1 : 0
}

function limitsOf(cloud: CloudName, dice: Dice): Limits {
  const slots = dice.between(2, 10)
  if (cloud === 'aws') return { nics: dice.between(2, 5), slots, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
  return { nics: 2, slots: slots + 4, lengths: { 4: [28, 32], 6: [] }, wholeWrites: true }
}

function subnetsOf(cloud: CloudName, dice: Dice, length: number, six: boolean): MemorySubnet[] {
  return Array.from({ length: dice.between(1, 3) }, (_, n) => {
    const subnet: MemorySubnet = { id: `subnet-${n}`, zone: 'a', cidr: `10.${n}.0.0/${length}` }
    if (cloud === 'gcp') return { ...subnet, cidr: `10.${n}.0.0/24`, secondary: `10.${n + 100}.0.0/${length}` }
    const kind = dice.of<'prefix' | 'explicit'>(['prefix', 'explicit'])
    if (cloud === 'azure') return subnet
    const reservations = dice.chance(0.2) ? [{ cidr: `10.${n}.0.16/28`, kind }] : []
    return { ...subnet, reservations, ...(six ? { cidr6: `fd00:${n}::/56` } : {}) }
  })
}

function faultsOf(dice: Dice): Faults {
  if (dice.chance(0.15)) return NO_FAULTS
  const share = (): number => dice.of([0, 0, 0.02, 0.1, 0.3])
  return {
    throttled: share() / 2,
    refused: share() / 2,
    denied: share() / 4,
    lost: share() / 2,
    late: share() / 2,
    // Less than the core waits before it believes what it sees.
    lateMs: 9000,
    slow: share() / 2,
    slowMs: 25_000,
  }
}
