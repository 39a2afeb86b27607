/**
 * Pods for whose flows no port was left: what the programs drop as `nat_ports` on its way out of the cluster, gathered by
 * pod and destination for the log and for `causeway status`, which forgets it a minute after the last drop.
 */
import {
  decodeEvent,
  DropReason,
  type Event,
  EVENT_SIZE,
  EventKind,
  encodeEvent,
  Hook,
} from '../datapath/shared.gen.ts'
import { fromMapped16 } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { hasPorts, isIcmp } from './protocols.ts'

/** A flow that could not begin, by what it has in common with others. */
export interface Refused {
  readonly pod: Address
  readonly destination: Address
  /** As the pod knows it; 0 for ICMP and protocols without ports. */
  readonly destinationPort: number
  /** Its assigned number (IANA). */
  readonly protocol: number
}

/** Ports at an address that was tried. */
export interface Tried {
  readonly egressAddress: Address
  readonly used: number
  readonly total: number
}

export interface Exhausted extends Refused {
  /** Packets that were told of; of very many only some are. */
  readonly drops: number
  /** As of the last look; undefined when that failed. */
  readonly tried: readonly Tried[] | undefined
}

interface Entry extends Refused {
  drops: number
  lastMs: number
  /** Undefined before the first time; drops since then are told after a while. */
  toldMs: number | undefined
  dropsTold: number
  tried: readonly Tried[] | undefined
  /** It was no flow that leaves the cluster, but one of a service inside. */
  foreign: boolean
}

/** Where pods of this node leave, and those of others by this one as their gateway. */
const OUTWARD: readonly number[] = [Hook.HOOK_POD_OUT, Hook.HOOK_OVERLAY_IN]

export const KEPT_MS = 60_000
/** Those of one pod to one destination go to the log so often at most. */
export const TELL_EVERY_MS = 60_000
/** More pods and destinations than these at a time are left out. */
const MOST = 64

export class Exhaustion {
  readonly #clock: Clock
  readonly #kindAt = placeOf('kind')
  readonly #reasonAt = placeOf('reason')
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Takes in a record of the ring buffer; nearly all are others' and cost a look at two bytes. */
  see(record: Uint8Array): void {
    if (record[this.#reasonAt] !== DropReason.DROP_NAT_PORTS || record[this.#kindAt] !== EventKind.EVENT_DROP) return
    const event = decodeEvent(new DataView(record.buffer, record.byteOffset, record.byteLength), 0)
    if (OUTWARD.includes(event.hook)) this.#add(refusedOf(event))
  }

  /** What is to be told now: the result takes what was found out about each. */
  due(): readonly Refused[] {
    this.#forget()
    const now = this.#clock.now()
    return [...this.#entries.values()].filter(
      e => e.toldMs === undefined || (now - e.toldMs >= TELL_EVERY_MS && e.drops > e.dropsTold),
    )
  }

  /** Found to be short of ports at these addresses; the entry with its drops since it was told last. Of none it is another matter. */
  told(refused: Refused, tried: readonly Tried[] | undefined): Exhausted | undefined {
    const entry = this.#entries.get(keyOf(refused))
    if (entry === undefined) return undefined
    const drops = entry.drops - entry.dropsTold
    entry.toldMs = this.#clock.now()
    entry.dropsTold = entry.drops
    entry.tried = tried
    entry.foreign = tried?.length === 0
    return entry.foreign ? undefined : { ...entry, drops }
  }

  /** Those of the last minute that were told, the latest first. */
  list(): readonly Exhausted[] {
    this.#forget()
    const told = [...this.#entries.values()].filter(e => e.toldMs !== undefined && !e.foreign)
    return told.sort((a, b) => b.lastMs - a.lastMs)
  }

  #add(refused: Refused): void {
    const key = keyOf(refused)
    const known = this.#entries.get(key)
    const lastMs = this.#clock.now()
    if (known !== undefined) {
      known.drops++
      known.lastMs = lastMs
      return
    }
    if (this.#entries.size >= MOST) this.#forget()
    if (this.#entries.size >= MOST) return
    const untold = { toldMs: undefined, dropsTold: 0, tried: undefined, foreign: false }
    this.#entries.set(key, { ...refused, drops: 1, lastMs, ...untold })
  }

  #forget(): void {
    const oldest = this.#clock.now() - KEPT_MS
    for (const [key, { lastMs }] of this.#entries) if (lastMs <= oldest) this.#entries.delete(key)
  }
}

function refusedOf({ source, destination, destinationPort, protocol }: Event): Refused {
  return {
    pod: fromMapped16(source),
    destination: fromMapped16(destination),
    // An event of ICMP has the message's code there.
    destinationPort: hasPorts(protocol) && !isIcmp(protocol) ? destinationPort : 0,
    protocol,
  }
}

function keyOf({ pod, destination, destinationPort, protocol }: Refused): string {
  return `${pod} ${protocol} ${destination} ${destinationPort}`
}

/** Where a field of one byte lies in an event. */
function placeOf(field: 'kind' | 'reason'): number {
  const view = new DataView(new ArrayBuffer(EVENT_SIZE))
  encodeEvent(view, 0, { ...decodeEvent(view, 0), [field]: 0xff })
  return new Uint8Array(view.buffer).indexOf(0xff)
}
