/**
 * What the live maps hold of one packet's flow, in maps of the trace's own. Which entries those are is not known before the
 * programs have chosen a backend or a port: what they wrote is looked up in the live maps, and where somebody has it, they
 * run once more with that in their way.
 */
import {
  affinityKeyLayout,
  affinityValueLayout,
  type AffinityKey,
  type AffinityValue,
  type CrowdKey,
  crowdKeyLayout,
  type CtKey,
  ctKeyLayout,
  type CtValue,
  ctValueLayout,
  type Load,
  type LoadKey,
  loadKeyLayout,
  loadLayout,
  NatFlags,
  type NatKey,
  natKeyLayout,
  type NatValue,
  natValueLayout,
  type Share,
  type ShareKey,
  shareKeyLayout,
  shareLayout,
  type Tuple,
  tupleLayout,
} from '../datapath/shared.gen.ts'
import { bytes } from '../kernel/bpf/layout.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { crowdKeyOf, ctKeyOf, reversed, tupleOf, tupleOfCt } from './flow-keys.ts'
import { Mirror } from './mirror.ts'

/** Descriptors of a map by its name. */
export type MapFds = (map: string) => number

/** Tuples that are followed from one packet on: more than any flow has, were entries to lead in a circle. */
const MOST_TUPLES = 64

export class FlowMirror implements Disposable {
  readonly conntrack: Mirror<CtKey, CtValue>
  readonly translations: Mirror<NatKey, NatValue>
  readonly affinities: Mirror<AffinityKey, AffinityValue>
  readonly #crowds: Mirror<CrowdKey, Uint8Array>
  readonly #shares: Mirror<ShareKey, Share>
  readonly #loads: Mirror<LoadKey, Load>
  readonly #stack: DisposableStack

  /** Both sets of descriptors stay the caller's. */
  constructor(live: MapFds, own: MapFds) {
    using stack = new DisposableStack()
    const fds = (name: string) => ({ live: live(name), own: own(name) })
    const crowd = bytes(mapInfo(own('nat_crowds')).valueSize)
    this.conntrack = stack.use(new Mirror(fds('conntrack'), ctKeyLayout, ctValueLayout))
    this.translations = stack.use(new Mirror(fds('translations'), natKeyLayout, natValueLayout))
    this.affinities = stack.use(new Mirror(fds('affinities'), affinityKeyLayout, affinityValueLayout))
    this.#crowds = stack.use(new Mirror(fds('nat_crowds'), crowdKeyLayout, crowd))
    this.#shares = stack.use(new Mirror(fds('crowd_shares'), shareKeyLayout, shareLayout))
    this.#loads = stack.use(new Mirror(fds('loads'), loadKeyLayout, loadLayout))
    this.#stack = stack.move()
  }

  /** Begins with a packet's tuple: the trace's maps hold what is known of its flow, both ways. */
  begin(tuple: Tuple): void {
    for (const mirror of this.#all()) mirror.forget()
    this.#loads.takeAll()
    this.#follow([tuple])
    this.#refill()
  }

  /**
   * Looks up in the live maps what the programs have written. Whether there is something that they did not know: then the
   * trace's maps hold it now, and nothing of what they wrote.
   */
  learn(): boolean {
    const translations = this.translations.entries()
    const tuples = [
      ...translations.flatMap(([key, value]) => [key, tupleOf(value, key)]),
      ...this.conntrack.entries().map(([key]) => tupleOfCt(key)),
    ]
    const found = [
      this.#follow(tuples),
      ...translations.map(([key, value]) => this.#takeCrowd(key, value)),
      ...this.affinities.entries().map(([key]) => this.affinities.take(key)),
    ]
    if (!found.includes(true)) return false
    this.#refill()
    return true
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  /** Takes what is known of these tuples, of what they go on as, and so on. Whether there was anything new. */
  #follow(tuples: readonly Tuple[]): boolean {
    const waiting = [...tuples]
    const seen = new Set<string>()
    let found = false
    for (let tuple = waiting.shift(); tuple !== undefined && seen.size < MOST_TUPLES; tuple = waiting.shift()) {
      const text = textOf(tuple)
      if (seen.has(text)) continue
      seen.add(text)
      if (this.conntrack.take(ctKeyOf(tuple))) found = true
      for (const key of [tuple, reversed(tuple)]) {
        if (this.translations.take(key)) found = true
        const value = this.translations.taken(key)
        if (value !== undefined) waiting.push(tupleOf(value, key))
      }
    }
    return found
  }

  /** Of a flow that has both its entries: which ports those have that differ from it in nothing else. */
  #takeCrowd(came: NatKey, value: NatValue): boolean {
    if ((value.flags & NatFlags.NAT_REPLY) !== 0) return false
    const crowd = crowdKeyOf(tupleOf(value, came))
    const taken = [this.#crowds.take(crowd), this.#shares.take({ crowd, owner: came.source })]
    return taken.includes(true)
  }

  #refill(): void {
    for (const mirror of this.#all()) mirror.refill()
  }

  #all(): Pick<Mirror<unknown, unknown>, 'forget' | 'refill'>[] {
    return [this.conntrack, this.translations, this.affinities, this.#crowds, this.#shares, this.#loads]
  }
}

function textOf(tuple: Tuple): string {
  const out = Buffer.alloc(tupleLayout.size)
  tupleLayout.encode(new DataView(out.buffer, out.byteOffset), 0, tuple)
  return out.toString('hex')
}
