/**
 * Maglev's look-up tables: which backend each slot belongs to. A table depends on the set of backends alone, so every node and
 * every restart makes the same, and when a backend leaves little but its own slots changes hands.
 *
 * Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4.
 */
import { hash } from 'node:crypto'
import type { TableSize } from '../state/service-rows.ts'

export const DEFAULT_TABLE_SIZE: TableSize = 16_381

export interface Candidate {
  /** What tells the backend from others, the same on every node, such as `10.1.0.2:80/TCP`. */
  readonly name: string
  /** Share of slots relative to the others', from 1. */
  readonly weight: number
}

/** Where a backend begins to look for free slots, and how far it goes on each time. */
interface Stride {
  readonly offset: number
  readonly skip: number
}

/**
 * The table: at each slot the index in `candidates` of the backend it belongs to; empty without candidates. Slots are
 * shared out by weight, with equal weights to within one. `seed` sets clusters apart.
 */
export function maglevTable(candidates: readonly Candidate[], size: TableSize, seed: string): Uint16Array {
  const order = candidates.map((_, i) => i).sort((a, b) => compareNames(candidates[a], candidates[b]))
  const weights = order.map(i => candidates[i]?.weight ?? 1)
  const strides = order.map(i => strideOf(candidates[i]?.name ?? '', size, seed))
  const owners = fill(strides, weights, size)
  return owners.map(owner => order[owner] ?? 0)
}

function compareNames(a: Candidate | undefined, b: Candidate | undefined): number {
  return (a?.name ?? '') < (b?.name ?? '') ? -1 : 1
}

function strideOf(name: string, size: number, seed: string): Stride {
  const digest = hash('sha256', `${seed}\0${name}`, 'buffer')
  return { offset: digest.readUInt32LE(0) % size, skip: (digest.readUInt32LE(4) % (size - 1)) + 1 }
}

/** Backends take slots in turn, each its next free one; one of less weight than the heaviest sits out some turns. */
function fill(strides: readonly Stride[], weights: readonly number[], size: number): Uint16Array {
  const owners = new Uint16Array(size)
  if (strides.length === 0) return new Uint16Array()
  const taken = new Uint8Array(size)
  const next = Uint32Array.from(strides, s => s.offset)
  const skips = Uint32Array.from(strides, s => s.skip)
  const shares = Float64Array.from(weights, weight => weight / Math.max(...weights))
  const due = new Float64Array(strides.length)
  for (let filled = 0; filled < size; )
    for (let i = 0; i < strides.length && filled < size; i++) {
      // Numbers within the arrays' lengths.
      due[i] = (due[i] as number) + (shares[i] as number)
      if ((due[i] as number) < 1 - ROUNDING) continue
      due[i] = (due[i] as number) - 1
      const skip = skips[i] as number
      let slot = next[i] as number
      while (taken[slot] === 1) slot = slot + skip >= size ? slot + skip - size : slot + skip
      taken[slot] = 1
      owners[slot] = i
      next[i] = slot
      filled++
    }
  return owners
}

/** Of sums of shares such as a third. */
const ROUNDING = 1e-9
