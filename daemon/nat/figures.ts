/** What `/metrics` tells of the use of ports: looked up when somebody asks, but not each time where that takes long. */
import type { Address } from '../kernel/kernel.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { socketText } from '../service/frontends.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import type { PodNames } from './pod-names.ts'
import { type NatSources, readNat } from './reading.ts'
import { natReport, type TopUser, topUsers } from './report.ts'

export interface NatSummary {
  /** Most ports first. */
  readonly users: readonly TopUser[]
  readonly addresses: readonly { readonly egressAddress: Address; readonly headroom: number }[]
}

export interface NatFiguresOptions extends NatSources {
  /** Without masquerade there is nothing to look for. */
  readonly on: boolean
  readonly names: () => PodNames
  readonly log: Logger
  readonly clock?: Clock
}

/** Series of `causeway_nat_ports_used`. */
const TOP = 10
const AGE_MS = 5000
/** Looks take at most this share of the time. */
const SHARE = 0.05
const NOTHING: NatSummary = { users: [], addresses: [] }

export class NatFigures {
  readonly #options: NatFiguresOptions
  readonly #clock: Clock
  #last: Promise<NatSummary> = Promise.resolve(NOTHING)
  #freshUntil = -Infinity

  constructor(options: NatFiguresOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Callers that come while one look is under way share it. Never rejects: what cannot be read is logged and nothing. */
  async get(): Promise<NatSummary> {
    if (!this.#options.on) return NOTHING
    if (this.#clock.now() >= this.#freshUntil) {
      this.#freshUntil = Infinity
      this.#last = this.#look()
    }
    return await this.#last
  }

  async #look(): Promise<NatSummary> {
    const { names, egress, log } = this.#options
    const began = this.#clock.now()
    try {
      const reading = await readNat(this.#options, { mappings: 0 })
      const nameOf = names()
      const { addresses } = await natReport(
        reading,
        { top: 0, mappings: 0 },
        { masquerade: true, egress: egress(), nameOf },
      )
      return { users: await topUsers(reading.usage, TOP, nameOf), addresses }
    } catch (error) {
      log.warn({ error }, 'the use of ports could not be read')
      return NOTHING
    } finally {
      const now = this.#clock.now()
      this.#freshUntil = now + Math.max(AGE_MS, (now - began) / SHARE)
    }
  }
}

/** Declares the metrics; both ask once at each exposition. */
export function exposeNat(metrics: Metrics, summary: () => Promise<NatSummary>): void {
  metrics.gauge(
    'nat_ports_used',
    'Ports that pods have towards one destination at an address that they leave the cluster with; the 10 largest.',
    ['pod', 'destination', 'address', 'protocol'],
    async used => {
      for (const { pod, destination, destinationPort, egressAddress: address, protocol, ...user } of (await summary())
        .users) {
        const to = destinationPort === undefined ? destination : socketText(destination, destinationPort)
        used.set(user.used, { pod, destination: to, address, protocol })
      }
    },
  )
  metrics.gauge(
    'nat_headroom_ports',
    'Ports left at an address that pods leave the cluster with, towards the destination that has least.',
    ['address'],
    async left => {
      for (const { egressAddress: address, headroom } of (await summary()).addresses) left.set(headroom, { address })
    },
  )
}
