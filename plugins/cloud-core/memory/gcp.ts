/**
 * Google Compute Engine as far as addresses of pods go, in memory: alias ranges of the interfaces of an instance, out of a
 * secondary range of their subnet; an interface is written as a whole with its fingerprint, one operation of an instance at
 * a time (reference of `instances.updateNetworkInterface`).
 */
import type { Budget } from '../provider.ts'
import type { Budgets, MemoryCloudOptions } from './cloud.ts'
import { MemoryWholeWrites } from './whole-writes.ts'

/** A project's requests a minute are 1,500 of each group; a bucket of a second's worth of many. */
const READS: Budget = { name: 'reads', rate: { burst: 100, perSecond: 20 } }
const WRITES: Budget = { name: 'mutations', rate: { burst: 100, perSecond: 10 } }

export const GCP_BUDGETS: Budgets = {
  assign: WRITES,
  release: WRITES,
  create: WRITES,
  attach: WRITES,
  protect: WRITES,
  detach: WRITES,
  delete: WRITES,
  write: WRITES,
  observe: READS,
  sweep: READS,
}

export class MemoryGcp extends MemoryWholeWrites {
  constructor(options: MemoryCloudOptions) {
    super(GCP, options)
  }
}

const NONE = { assign: 0, release: 0, create: 0, attach: 0, protect: 0, detach: 0, delete: 0, device: 0, detached: 0 }

const GCP = {
  name: 'gcp',
  budgets: GCP_BUDGETS,
  latencies: { ...NONE, write: 3000, observe: 150, sweep: 700 },
  /** Of the primary range: the network's and the gateway's; the last but one and the broadcast address. */
  reserved: { first: 2, last: 2 },
  nicPrefix: 'nic',
  slots: 150,
  limitCode: 'quotaExceeded',
  busyCode: 'resourceNotReady',
  staleCode: 'conditionNotMet',
} as const
