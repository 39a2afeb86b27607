/**
 * The ports that pods leave the cluster with, for people: `causeway nat`, `/metrics`, and in the log and `causeway status`
 * those that have none left. The programs give ports by themselves; here is only looked at what they have given.
 */
import type { Logger } from '../plugin.ts'
import { socketText } from '../service/frontends.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { Rest } from '../state/rest.ts'
import type { Tables } from '../state/tables.ts'
import { type Exhausted, Exhaustion, type Refused, type Tried } from './exhaustion.ts'
import { NatFigures, type NatSummary } from './figures.ts'
import { type PodNames, podNames } from './pod-names.ts'
import { protocolText } from './protocols.ts'
import { type NatSources, readNat } from './reading.ts'
import { type NatQuery, type NatReport, natReport } from './report.ts'
import { triedFor } from './tried.ts'
import { textOfAddress } from './way.ts'

export interface NatOptions extends Pick<NatSources, 'flows' | 'sockets'> {
  /** Whether flows of pods are given addresses of the node. */
  readonly masquerade: boolean
  readonly tables: Pick<Tables, 'endpoints' | 'pods' | 'egress' | 'frontends'>
  readonly log: Logger
  readonly clock?: Clock
}

/** How often is looked whether flows were refused. */
const LOOK_MS = 1000
/** A look that took long is rested from so many times as long. */
const PAUSE = 4
/** Problems that are told one by one. */
const MOST_PROBLEMS = 10

export class Nat {
  readonly #options: NatOptions
  readonly #sources: NatSources
  readonly #clock: Clock
  readonly #exhaustion: Exhaustion
  readonly #figures: NatFigures

  constructor(options: NatOptions) {
    const { flows, sockets, tables, masquerade, log, clock = systemClock } = options
    this.#options = options
    this.#sources = { flows, sockets, egress: () => [...tables.egress.values()] }
    this.#clock = clock
    this.#exhaustion = new Exhaustion(clock)
    const names = (): PodNames => podNames(tables)
    this.#figures = new NatFigures({ ...this.#sources, on: masquerade, names, log, clock })
  }

  /** Reads everything now. Rejects with what the kernel says. */
  async report(query: NatQuery): Promise<NatReport> {
    const reading = await readNat(this.#sources, query)
    const { masquerade } = this.#options
    return await natReport(reading, query, { masquerade, egress: this.#sources.egress(), nameOf: this.#names() })
  }

  /** What `/metrics` tells; a few seconds old at most, more where a look takes long. */
  async summary(): Promise<NatSummary> {
    return await this.#figures.get()
  }

  /** Takes in a record of the ring buffer, valid during the call only. */
  see(record: Uint8Array): void {
    if (this.#options.masquerade) this.#exhaustion.see(record)
  }

  /** Pods that had no port left within the last minute, the latest first. */
  get exhausted(): readonly Exhausted[] {
    return this.#exhaustion.list()
  }

  /** The same in words. */
  get problems(): readonly string[] {
    const all = this.exhausted
    const more = all.length - MOST_PROBLEMS
    const nameOf = this.#names()
    const texts = all
      .slice(0, MOST_PROBLEMS)
      .map(exhausted => problemText(exhausted, nameOf(textOfAddress(exhausted.pod))))
    return more > 0 ? [...texts, `${more} more have no port left, see \`causeway flows --reason nat_ports\``] : texts
  }

  /** Tells of flows that were refused until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const rest = new Rest(this.#clock)
    signal.addEventListener('abort', rest.wake)
    while (!signal.aborted) {
      rest.begin()
      const began = this.#clock.now()
      await this.#tell(this.#exhaustion.due())
      const now = this.#clock.now()
      if (!signal.aborted) await rest.until(now + Math.max(LOOK_MS, (now - began) * PAUSE))
    }
    signal.removeEventListener('abort', rest.wake)
    rest.end()
  }

  async #tell(due: readonly Refused[]): Promise<void> {
    if (due.length === 0) return
    const { log } = this.#options
    const nameOf = this.#names()
    const tried = await this.#tried(due)
    for (const [i, refused] of due.entries()) {
      const exhausted = this.#exhaustion.told(refused, tried?.[i])
      if (exhausted === undefined) continue
      const { drops, protocol, destination, destinationPort } = exhausted
      log.warn(
        {
          pod: nameOf(textOfAddress(exhausted.pod)),
          podAddress: exhausted.pod,
          protocol: protocolText(protocol),
          destination,
          destinationPort,
          tried: exhausted.tried,
          drops,
        },
        'no port is left for a pod to leave the cluster with',
      )
    }
  }

  /** Where each was looked for; undefined when that could not be found out. */
  async #tried(due: readonly Refused[]): Promise<readonly (readonly Tried[])[] | undefined> {
    const { tables, log } = this.#options
    try {
      const { usage, held } = await readNat(this.#sources, { mappings: 0 })
      const facts = {
        usage,
        held,
        egress: this.#sources.egress(),
        frontend: (key: string) => tables.frontends.get(key),
      }
      return due.map(refused => triedFor(refused, facts))
    } catch (error) {
      log.warn({ error }, 'the use of ports could not be read')
      return undefined
    }
  }

  #names(): PodNames {
    return podNames(this.#options.tables)
  }
}

function problemText({ protocol, destination, destinationPort, drops, tried }: Exhausted, pod: string): string {
  const to = destinationPort === 0 ? destination : socketText(destination, destinationPort)
  const at = tried?.map(t => `${t.used} of ${t.total} are used at ${t.egressAddress}`).join(', ')
  return (
    `${pod} has no port left to ${protocolText(protocol)} ${to}${at === undefined ? '' : `: ${at}`}; packets dropped: ${drops}. ` +
    'Give pods another address (masquerade.addresses), or let them keep fewer connections open there; ' +
    `\`causeway nat --pod ${pod}\` shows them`
  )
}
