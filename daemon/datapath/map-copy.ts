/** Carries entries from one map into another, a few milliseconds of the event loop at a time. */
import { setImmediate } from 'node:timers/promises'
import { bytes, codec } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapOfFd } from '../kernel/bpf/map.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { BpfError } from '../kernel/bpf/syscall.ts'

export type Raw = Uint8Array
/** An entry of the older layout as one of the newer; undefined drops one that has no counterpart. */
export type Migration = (key: Raw, value: Raw) => readonly [Raw, Raw] | undefined

export interface Copied {
  readonly copied: number
  /** Entries that found no room. */
  readonly lost: number
}

/** Entries between two turns of the event loop: about 2 ms. */
const ENTRIES_A_TURN = 1024

/**
 * Adds the entries that the other map has not got; those it has stay. Both may be changed meanwhile. Descriptors stay
 * the caller's and must stay open until the promise settles.
 */
export async function copyMissing(from: number, to: number, migrate: Migration): Promise<Copied> {
  using source = rawMap(from)
  using target = rawMap(to)
  let [seen, copied, lost] = [0, 0, 0]
  for (const [key, value] of source.entries()) {
    if (++seen % ENTRIES_A_TURN === 0) await setImmediate()
    const entry = migrate(key, value)
    if (entry === undefined) continue
    const outcome = add(target, ...entry)
    if (outcome === 'added') copied++
    if (outcome === 'full') lost++
  }
  return { copied, lost }
}

function add(map: EbpfMap<Raw, Raw>, key: Raw, value: Raw): 'added' | 'there' | 'full' {
  try {
    return map.add(key, value) ? 'added' : 'there'
  } catch (error) {
    if (error instanceof BpfError && FULL.includes(error.code)) return 'full'
    throw error
  }
}

/** What hashes and tries answer when they have no room. */
const FULL = ['E2BIG', 'ENOSPC']

function rawMap(fd: number): EbpfMap<Raw, Raw> {
  const { keySize, valueSize } = mapInfo(fd)
  return mapOfFd(fd, codec(bytes(keySize), bytes(valueSize)))
}
