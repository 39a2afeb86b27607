/**
 * Azure as far as addresses of pods go, in memory: IP configurations, single or of blocks, of the interfaces of a machine,
 * which is written as a whole: the interface of a machine by itself, the instance of a scale set. Budgets of Azure Resource
 * Manager (limits of a subscription and principal; figures of `reference/cloud-addresses`).
 */
import type { Budget } from '../provider.ts'
import type { Budgets, MemoryCloudOptions } from './cloud.ts'
import { MemoryWholeWrites } from './whole-writes.ts'

const READS: Budget = { name: 'reads', rate: { burst: 250, perSecond: 25 } }
const WRITES: Budget = { name: 'writes', rate: { burst: 200, perSecond: 10 } }

export const AZURE_BUDGETS: Budgets = {
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

export class MemoryAzure extends MemoryWholeWrites {
  constructor(options: MemoryCloudOptions) {
    super(AZURE, options)
  }
}

const NONE = { assign: 0, release: 0, create: 0, attach: 0, protect: 0, detach: 0, delete: 0, device: 0, detached: 0 }

const AZURE = {
  name: 'azure',
  budgets: AZURE_BUDGETS,
  latencies: { ...NONE, write: 4000, observe: 200, sweep: 1000 },
  /** The network's, the gateway's, two for names, and the broadcast address. */
  reserved: { first: 4, last: 1 },
  nicPrefix: 'nic-',
  /** 256 configurations, of which one is the interface's own. */
  slots: 255,
  limitCode: 'SecondaryIpConfigurationCountPerNicExceeded',
  busyCode: 'AnotherOperationInProgress',
  staleCode: 'PreconditionFailed',
} as const
