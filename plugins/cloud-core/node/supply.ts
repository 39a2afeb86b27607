/** What a node may give of all that the operator says, and what more there may be. Pure. */
import { parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { CloudBlockRow, CloudMachineRow, CloudNicRow } from '../../../daemon/state/cloud-rows.ts'
import type { Cloud } from '../../../daemon/state/tables.ts'
import type { Supply } from '../../pool-core/pool.ts'

/** How people know them. */
export const CLOUD_NAMES: Readonly<Record<Cloud, string>> = { aws: 'AWS', azure: 'Azure', gcp: 'Google Cloud' }

export interface Assigned {
  readonly machine: CloudMachineRow | undefined
  readonly nics: readonly CloudNicRow[]
  readonly blocks: readonly CloudBlockRow[]
}

export interface SupplyRules {
  readonly provider: Cloud
  /** Interfaces below this index are not for pods. */
  readonly firstInterface: number
  /** Whether packets of a block have a device of this node to leave by. */
  readonly carries: (block: CloudBlockRow) => boolean
  readonly gaveUp: (block: CloudBlockRow) => boolean
  /** Why what is said may be older than what this node has given up and forgotten. */
  readonly distrust?: string | undefined
}

/** Nothing is given that is not said to be allocatable, is given up, or is on an interface that cannot carry it. */
export function supplyOf({ machine, nics, blocks }: Assigned, rules: SupplyRules): Supply {
  const unknown = (awaited: string): Supply => ({ prefixes: [], known: false, awaited })
  const cloud = CLOUD_NAMES[rules.provider]
  if (rules.distrust !== undefined) return unknown(rules.distrust)
  if (machine === undefined) return unknown(`the operator has given this node no addresses of ${cloud} yet`)
  if (machine.provider !== rules.provider)
    return unknown(`the operator gives this node addresses of ${CLOUD_NAMES[machine.provider]}, and not of ${cloud}`)
  const forPods = new Set(nics.filter(nic => nic.index >= rules.firstInterface).map(nic => nic.id))
  const given = blocks.filter(
    row => row.phase === 'allocatable' && forPods.has(row.nic) && rules.carries(row) && !rules.gaveUp(row),
  )
  const prefixes = given.map(({ block }) => parsePrefix(block))
  if (machine.shortage === '') return { prefixes, known: true, awaited: `more are asked of ${cloud}` }
  return { prefixes, known: true, end: `no more come from ${cloud}: ${machine.shortage}` }
}
