/** What the programs remember of a client with an affinity. */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { Address, BpfMap } from '../kernel/kernel.ts'
import type { AffinityKey, AffinityValue, Backend } from './shared.gen.ts'

export interface AffinityMaps {
  readonly affinities: BpfMap<AffinityKey, AffinityValue>
  readonly backends: BpfMap<number, Backend>
}

export interface AffineClient {
  /** The frontend's id in the maps. */
  readonly service: number
  readonly client: Address
  /** How long an affinity counts after the last connection. */
  readonly seconds: number
}

/** The backend it was given, if that is still there and not too long ago; `now` is of CLOCK_MONOTONIC, in nanoseconds. */
export function affineBackend(
  { affinities, backends }: AffinityMaps,
  { service, client, seconds }: AffineClient,
  now: bigint = process.hrtime.bigint(),
): { readonly address: Address; readonly port: number } | undefined {
  const last = affinities.lookup({ client: toMapped16(client), service })
  if (last === undefined || now - last.used > BigInt(seconds) * 1_000_000_000n) return undefined
  const backend = backends.lookup(last.backend)
  return backend && { address: fromMapped16(backend.address), port: backend.port }
}
