/** A node's daemon as far as the leader can tell: who waits, who has which address, what it says of its blocks. */
import { parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Prefix } from '../../../daemon/kernel/kernel.ts'
import { type Life, lifeKey } from '../life.ts'
import type { NicId } from '../model.ts'
import { sizeOfBlock } from '../node-blocks.ts'
import type { Published } from '../node-state.ts'
import type { DemandEvent } from '../step.ts'
import type { Agenda } from './agenda.ts'

export interface AgentOptions {
  readonly agenda: Agenda
  readonly cooldownMs: number
  readonly releaseDelayMs: number
  /** Brings what it says to the leader. */
  readonly report: (event: DemandEvent) => void
  /** A pod has got its address. */
  readonly onAddress: (pod: string, address: number, waitedMs: number) => void
}

/** What comes within this is said together; then nothing is said for so long. */
const GATHER_MS = 20
const REPORT_MS = 250

interface AgentBlock {
  readonly block: Prefix
  readonly nic: NicId
  readonly born: number
  readonly base: number
  readonly size: number
  phase: Published['blocks'][number]['phase']
  readonly used: Set<number>
  readonly cooling: Set<number>
  emptySinceMs: number
}

export class Agent {
  readonly #options: AgentOptions
  readonly #blocks = new Map<Prefix, AgentBlock>()
  readonly #pods = new Map<string, { readonly block: AgentBlock; readonly address: number }>()
  /** Pods by since when they wait. */
  readonly #waiting = new Map<string, number>()
  readonly #gaveUp = new Set<string>()
  #ready = new Set<NicId>()
  readonly #devices = new Set<NicId>()
  #cooling = 0
  #reportDue = false
  #reportedMs = -Infinity

  constructor(options: AgentOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }
  get assigned(): number {
    return this.#pods.size
  }
  /** Addresses of pods. */
  addresses(): number[] {
    return [...this.#pods.values()].map(({ address }) => address)
  }
  /** Whether some pod has an address of the block, or had one that nobody may be given yet. */
  holds(block: Prefix): boolean {
    const known = this.#blocks.get(block)
    return known !== undefined && !isEmpty(known)
  }

  add(pod: string): void {
    this.#waiting.set(pod, this.#options.agenda.now())
    this.#serve()
    this.#changed()
  }

  remove(pod: string): void {
    this.#waiting.delete(pod)
    const held = this.#pods.get(pod)
    if (held === undefined) return
    const { agenda, cooldownMs } = this.#options
    this.#pods.delete(pod)
    held.block.used.delete(held.address)
    held.block.cooling.add(held.address)
    this.#cooling++
    agenda.after(cooldownMs, () => this.#cooled(held.block, held.address))
    this.#changed()
  }

  /** The machine has the interface's device, or has lost it. */
  device(nic: NicId, there: boolean): void {
    if (there) this.#devices.add(nic)
    else this.#devices.delete(nic)
    this.#serve()
    this.#changed()
  }

  published({ nics, blocks }: Published): void {
    this.#ready = new Set(nics.filter(({ phase }) => phase === 'ready').map(({ id }) => id))
    const seen = new Set(blocks.map(({ block }) => block))
    for (const [block, known] of this.#blocks) if (!seen.has(block) && isEmpty(known)) this.#blocks.delete(block)
    for (const { block, nic, born, phase } of blocks) {
      const known = this.#blocks.get(block)
      if (known?.born === born) known.phase = phase
      else this.#blocks.set(block, this.#blockOf(block, nic, born, phase, known))
    }
    this.#serve()
    this.#changed()
  }

  #blockOf(
    block: Prefix,
    nic: NicId,
    born: number,
    phase: AgentBlock['phase'],
    before: AgentBlock | undefined,
  ): AgentBlock {
    const emptySinceMs = this.#options.agenda.now()
    this.#options.agenda.after(this.#options.releaseDelayMs, () => this.#changed())
    const base = Number(parsePrefix(block).value)
    const [used, cooling] = [before?.used ?? new Set<number>(), before?.cooling ?? new Set<number>()]
    return { block, nic, born, base, size: sizeOfBlock({ block }), phase, used, cooling, emptySinceMs }
  }

  #cooled(block: AgentBlock, address: number): void {
    this.#cooling--
    block.cooling.delete(address)
    if (isEmpty(block)) {
      block.emptySinceMs = this.#options.agenda.now()
      this.#options.agenda.after(this.#options.releaseDelayMs, () => this.#changed())
    }
    this.#serve()
    this.#changed()
  }

  #serve(): void {
    if (this.#waiting.size === 0) return
    const usable = [...this.#blocks.values()].filter(block => this.#gives(block)).sort(fullestFirst)
    for (const [pod, sinceMs] of this.#waiting) {
      const block = usable.find(hasRoom)
      if (block === undefined) return
      const address = lowestFree(block)
      block.used.add(address)
      this.#waiting.delete(pod)
      this.#pods.set(pod, { block, address })
      this.#options.onAddress(pod, address, this.#options.agenda.now() - sinceMs)
    }
  }

  #gives(block: AgentBlock): boolean {
    const usable = this.#ready.has(block.nic) && this.#devices.has(block.nic)
    // Its pods have addresses of IPv4 only; blocks of IPv6 are more than they could use.
    if (block.block.includes(':')) return false
    return usable && block.phase === 'allocatable' && !this.#gaveUp.has(lifeKey(block)) && hasRoom(block)
  }

  /** Says it soon, with all that changes until then. */
  #changed(): void {
    if (this.#reportDue) return
    this.#reportDue = true
    const { agenda } = this.#options
    agenda.after(Math.max(GATHER_MS, this.#reportedMs + REPORT_MS - agenda.now()), () => {
      this.#reportDue = false
      this.#reportedMs = agenda.now()
      this.#options.report(this.#say())
    })
  }

  #say(): DemandEvent {
    const now = this.#options.agenda.now()
    const idle: Prefix[] = []
    const drained: Life[] = []
    for (const block of this.#blocks.values()) {
      if (!isEmpty(block)) continue
      if (block.phase === 'draining') this.#gaveUp.add(lifeKey(block))
      if (this.#gaveUp.has(lifeKey(block))) drained.push({ block: block.block, born: block.born })
      else if (now - block.emptySinceMs >= this.#options.releaseDelayMs) idle.push(block.block)
    }
    const demand = { assigned: this.#pods.size, waiting: this.#waiting.size, cooling: this.#cooling }
    return { kind: 'demand', demand: new Map([[4, demand]]), idle, drained }
  }
}

function isEmpty({ used, cooling }: AgentBlock): boolean {
  return used.size === 0 && cooling.size === 0
}

function hasRoom({ used, cooling, size }: AgentBlock): boolean {
  return used.size + cooling.size < size
}

/** So that the others come free. */
function fullestFirst(a: AgentBlock, b: AgentBlock): number {
  return b.used.size - a.used.size || a.base - b.base
}

function lowestFree({ base, used, cooling }: AgentBlock): number {
  let address = base
  while (used.has(address) || cooling.has(address)) address++
  return address
}
