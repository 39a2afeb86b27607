/**
 * Interfaces that this project made and nobody uses: their node is gone, or whoever made them died before it was written
 * down. One that two looks have found, further apart than making one can take, is deleted.
 */
import type { NicId, SeenNic } from './model.ts'
import type { NodeState } from './node-state.ts'

/** Longer than it takes from a request to make an interface until it is attached, with all that is tried again. */
export const SAGA_MS = 120_000

export class Leftovers {
  /** When a look found each first. */
  #found = new Map<NicId, number>()
  readonly #asked = new Set<NicId>()
  /** To be deleted. */
  #due: readonly NicId[] = []

  /** Whether there are some to be deleted now. */
  get due(): boolean {
    return this.#due.length > 0
  }
  /** Found and not deleted yet. */
  get count(): number {
    return this.#found.size
  }

  /** Takes in a look at all interfaces. */
  look(nics: readonly SeenNic[], nodes: ReadonlyMap<string, NodeState>, startedMs: number): void {
    const found = new Map<NicId, number>()
    for (const nic of nics) if (isLeft(nic, nodes)) found.set(nic.id, this.#found.get(nic.id) ?? startedMs)
    this.#found = found
    const old = [...found].filter(([id, firstMs]) => startedMs - firstMs >= SAGA_MS && !this.#asked.has(id))
    this.#due = old.map(([id]) => id)
  }

  /** Takes out those that are to be deleted now, each when it may be. */
  take(may: () => boolean): readonly NicId[] {
    const taken = this.#due.filter(may)
    for (const id of taken) this.#asked.add(id)
    this.#due = this.#due.filter(id => !this.#asked.has(id))
    return taken
  }

  /** The answer to it; one that was not deleted is asked for again at the next look. */
  settled(id: NicId, deleted: boolean): void {
    this.#asked.delete(id)
    if (deleted) this.#found.delete(id)
  }
}

function isLeft({ id, token, node, status }: SeenNic, nodes: ReadonlyMap<string, NodeState>): boolean {
  if (token === '' || status !== 'available') return false
  const state = nodes.get(node)
  return state === undefined || (!state.nics.has(id) && !state.intents.has(token))
}
