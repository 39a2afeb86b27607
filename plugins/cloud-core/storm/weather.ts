/** What a seed makes of a storm: the cluster that it comes over, and what goes wrong. */
import type { MemorySubnet } from '../memory/cloud.ts'
import { type Faults, NO_FAULTS } from '../memory/frontend.ts'
import type { Limits, Policy } from '../model.ts'

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
  readonly faults: Faults
  /** Chance that the leader dies at a step. */
  readonly deaths: number
  /** Chance of an event that its clock jumps. */
  readonly jumps: number
  /** Chance of an event that a node vanishes. */
  readonly vanishes: number
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
  const six = cloud === 'aws' && dice.chance(0.3)
  const small = dice.chance(0.3)
  return {
    nodes: dice.between(1, 4),
    policy: {
      families: six ? [4, 6] : [4],
      preAllocate: dice.between(0, 6),
      min: dice.of([0, 0, 5]),
      maxAbove: dice.between(0, 10),
      maxPods: dice.between(10, 40),
      releaseDelayMs: dice.of([10_000, 30_000, 180_000]),
      firstNic: cloud === 'aws' && dice.chance(0.3) ? 1 : 0,
      prefixes: dice.chance(0.6),
    },
    limits: limitsOf(cloud, dice),
    cooldownMs: dice.of([0, 5000, 30_000]),
    subnets: subnetsOf(cloud, dice, small, six),
    others: small ? dice.between(0, 20) : 0,
    staleMs: dice.of([0, 1000, 8000]),
    faults: faultsOf(dice),
    deaths: dice.of([0, 0.003, 0.02, 0.1]),
    jumps: dice.of([0, 0.05]),
    vanishes: dice.of([0, 0.03]),
    twoNics: cloud !== 'aws' && dice.chance(0.3),
  }
}

function limitsOf(cloud: CloudName, dice: Dice): Limits {
  const slots = dice.between(3, 12)
  if (cloud === 'aws') return { nics: dice.between(2, 5), slots, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
  return { nics: 2, slots: slots + 4, lengths: { 4: [28, 32], 6: [] }, wholeWrites: true }
}

function subnetsOf(cloud: CloudName, dice: Dice, small: boolean, six: boolean): MemorySubnet[] {
  return Array.from({ length: dice.between(1, 3) }, (_, n) => {
    const length = small ? 26 : 22
    const subnet: MemorySubnet = { id: `subnet-${n}`, zone: 'a', cidr: `10.${n}.0.0/${length}` }
    if (cloud === 'gcp') return { ...subnet, cidr: `10.${n}.0.0/24`, secondary: `10.${n + 100}.0.0/${length}` }
    const kind = dice.of<'prefix' | 'explicit'>(['prefix', 'explicit'])
    if (cloud === 'azure') return subnet
    const reservations = dice.chance(0.2) ? [{ cidr: `10.${n}.0.32/27`, kind }] : []
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
