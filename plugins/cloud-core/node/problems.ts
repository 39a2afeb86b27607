/** What a person should know of addresses from the cloud on this node, for `causeway status`. */
import type { Host, Lease, Problem } from '../../../daemon/plugin.ts'
import type { Clock } from '../../../daemon/state/clock.ts'
import type { Cloud } from '../../../daemon/state/tables.ts'
import { type Assigned, CLOUD_NAMES } from './supply.ts'

/** What is missing is told when it has been for so long. */
const PATIENCE_MS = 30_000
/** A message names so many. */
const MOST_NAMED = 8

export interface Situation {
  readonly assigned: Assigned
  /** Requests that wait. */
  readonly waiting: number
  /** Leases of addresses that no block has. */
  readonly strayed: readonly Lease[]
  /** Why a block that is not used any more is not given back. */
  readonly notGivenBack: string | undefined
}

export class CloudProblems {
  readonly #provider: Cloud
  readonly #host: Pick<Host, 'nodeName' | 'tables'>
  readonly #clock: Clock
  /** Since when nothing has been assigned. */
  #unassignedMs: number | undefined

  constructor(provider: Cloud, host: Pick<Host, 'nodeName' | 'tables'>, clock: Clock) {
    this.#provider = provider
    this.#host = host
    this.#clock = clock
  }

  list(now: Situation): readonly Problem[] {
    const place = `NodeNetwork ${this.#host.nodeName}`
    const at = (message: string): Problem => ({ place, message })
    return [
      ...this.#unassigned(now.assigned).map(at),
      ...this.#ofSpec(now).map(at),
      ...this.#strayed(now),
      ...(now.notGivenBack === undefined
        ? []
        : [
            {
              place: 'journal',
              message: `a block that is not used any more cannot be given back: ${now.notGivenBack}`,
            },
          ]),
    ]
  }

  /** To be called when something may have changed. */
  look({ machine }: Assigned): void {
    this.#unassignedMs = machine === undefined ? (this.#unassignedMs ?? this.#clock.now()) : undefined
  }

  #unassigned(assigned: Assigned): string[] {
    this.look(assigned)
    const forMs = this.#unassignedMs === undefined ? 0 : this.#clock.now() - this.#unassignedMs
    if (forMs < PATIENCE_MS) return []
    const cloud = CLOUD_NAMES[this.#provider]
    return [
      `there are no addresses of ${cloud} for this node (spec.cloud) since ${Math.floor(forMs / 1000)} s, so that new pods ` +
        "wait; the operator writes them: 'causeway ipam' and its log say what keeps it",
    ]
  }

  #ofSpec({ assigned: { machine }, waiting }: Situation): string[] {
    if (machine === undefined) return []
    const cloud = CLOUD_NAMES[this.#provider]
    if (machine.provider !== this.#provider)
      return [
        `the operator gives addresses of ${CLOUD_NAMES[machine.provider]} and this node's daemon takes those of ` +
          `${cloud}: enable the same plugin in both configurations`,
      ]
    return machine.shortage === '' ? [] : [`no more addresses come from ${cloud}: ${machine.shortage}${waits(waiting)}`]
  }

  #strayed({ strayed, assigned: { machine } }: Situation): Problem[] {
    if (strayed.length === 0 || machine === undefined) return []
    const { endpoints } = this.#host.tables
    const names = strayed.slice(0, MOST_NAMED).map(({ owner, address }) => {
      const pod = endpoints.get(owner)?.pod
      return pod === undefined || pod.name === '' ? address : `${address} (${pod.namespace}/${pod.name})`
    })
    const more = strayed.length > MOST_NAMED ? ` and ${strayed.length - MOST_NAMED} more` : ''
    const message =
      `pods have addresses that the cloud has taken from this node, by what the operator says: ${names.join(', ')}${more}; ` +
      'they keep them, and the cloud may give them to others: start these pods anew'
    return [{ place: `NodeNetwork ${this.#host.nodeName}`, message }]
  }
}

function waits(waiting: number): string {
  return waiting === 0 ? '' : `; ${waiting} ${waiting === 1 ? 'request waits' : 'requests wait'}`
}
