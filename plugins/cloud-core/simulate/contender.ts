/** One way of giving pods addresses, run against a cloud in memory. */
import type { Limits, SubnetId } from '../model.ts'
import type { MemoryCloud } from '../memory/cloud.ts'
import type { Agenda } from './agenda.ts'

export interface Contender {
  readonly agenda: Agenda
  readonly cloud: MemoryCloud
  addNode(name: string, subnet: SubnetId): void
  add(node: string, pod: string): void
  remove(node: string, pod: string): void
}

/** What all of them are given. */
export interface Ground {
  readonly agenda: Agenda
  readonly cloud: MemoryCloud
  readonly random: () => number
  readonly limits: Limits
  /** Prefixes of 16 addresses instead of single addresses. */
  readonly prefixes: boolean
  readonly subnets: readonly SubnetId[]
  readonly onAddress: (pod: string, node: string, waitedMs: number) => void
}

/** Pods whose ADD fails at once: kubelet tries again every 10 to 15 s. */
export class Retries {
  readonly #ground: Pick<Ground, 'agenda' | 'random' | 'onAddress'>
  readonly #node: string
  readonly #take: () => boolean
  readonly #waiting = new Map<string, number>()

  /** `take` takes a free address, if there is one. */
  constructor(ground: Pick<Ground, 'agenda' | 'random' | 'onAddress'>, node: string, take: () => boolean) {
    this.#ground = ground
    this.#node = node
    this.#take = take
  }

  get waiting(): number {
    return this.#waiting.size
  }

  add(pod: string): void {
    this.#waiting.set(pod, this.#ground.agenda.now())
    this.#attempt(pod)
  }
  /** True when the pod had no address yet. */
  remove(pod: string): boolean {
    return this.#waiting.delete(pod)
  }

  #attempt(pod: string): void {
    const { agenda, random, onAddress } = this.#ground
    const sinceMs = this.#waiting.get(pod)
    if (sinceMs === undefined) return
    if (this.#take()) {
      this.#waiting.delete(pod)
      onAddress(pod, this.#node, agenda.now() - sinceMs)
    } else agenda.after(10_000 + random() * 5000, () => this.#attempt(pod))
  }
}

/** How a node's machine is called. */
export function machineOf(node: string): string {
  return `i-${node}`
}
