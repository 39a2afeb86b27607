/**
 * Whose an address is: a pod, this node or another. Kept up to date from the tables, at the cost of what changed; the
 * owner of an address is remembered after it is gone, because its last packets are looked at then.
 */
import type { Address } from '../kernel/kernel.ts'
import type { PodRef } from '../plugin.ts'
import type { Table } from '../state/table.ts'
import type { Tables } from '../state/tables.ts'

export type AddressOwner =
  | { readonly kind: 'pod'; readonly pod: string }
  | { readonly kind: 'node'; readonly node: string }

/** How a pod is called: `namespace/name`, or the key of its attachment where the runtime told neither. */
export function podName(pod: Pick<PodRef, 'namespace' | 'name'>, key: string): string {
  return pod.name === '' ? key : `${pod.namespace}/${pod.name}`
}

/** Owners that are gone and still remembered. */
const REMEMBERED = 4096

/** Looks names up in the tables endpoints, pods, hostAddresses and nodes, in this order. */
export class Names implements Disposable {
  readonly #indices: readonly Index[]

  constructor(tables: Pick<Tables, 'endpoints' | 'pods' | 'hostAddresses' | 'nodes'>, nodeName: string) {
    const pod = (name: string): AddressOwner => ({ kind: 'pod', pod: name })
    const all = (addresses: readonly Address[], owner: AddressOwner): Entries => addresses.map(a => [a, owner])
    this.#indices = [
      index(tables.endpoints, row => all(row.addresses, pod(podName(row.pod, row.key)))),
      index(
        tables.pods,
        // Pods in the host's network share the node's address, which is the node's.
        row => (row.hostNetwork ? [] : all(row.addresses, pod(`${row.namespace}/${row.name}`))),
      ),
      index(tables.hostAddresses, row => all([row.address], { kind: 'node', node: nodeName })),
      index(tables.nodes, row => all(row.addresses, { kind: 'node', node: row.name })),
    ]
  }

  /**
   * Takes in what changed in the tables. To be called before a look-up, and now and then without: the tables keep what
   * was deleted until it has been taken in.
   */
  refresh(): void {
    for (const one of this.#indices) one.refresh()
  }

  /** The owner as of the last refresh; one that is gone counts only when there is no other. */
  find(address: Address): AddressOwner | undefined {
    for (const one of this.#indices) {
      const owner = one.current.get(address)
      if (owner) return owner
    }
    for (const one of this.#indices) {
      const owner = one.gone.get(address)
      if (owner) return owner
    }
    return undefined
  }

  [Symbol.dispose](): void {
    for (const one of this.#indices) one[Symbol.dispose]()
  }
}

type Entries = readonly (readonly [Address, AddressOwner])[]

/** Addresses of the rows of one table. */
interface Index extends Disposable {
  readonly current: ReadonlyMap<Address, AddressOwner>
  readonly gone: ReadonlyMap<Address, AddressOwner>
  refresh(): void
}

function index<T>(table: Table<T>, entries: (row: T) => Entries): Index {
  const follower = table.follow('flow')
  const current = new Map<Address, AddressOwner>()
  const gone = new Map<Address, AddressOwner>()
  const byRow = new Map<string, Entries>()
  const remove = (row: T): void => {
    const key = table.keyOf(row)
    // A row that came and went between two refreshes is remembered too.
    for (const [address, owner] of byRow.get(key) ?? entries(row)) {
      const now = current.get(address)
      // An address that another row has taken over meanwhile stays with that row.
      if (now !== undefined && now !== owner) continue
      current.delete(address)
      gone.delete(address)
      gone.set(address, owner)
    }
    byRow.delete(key)
  }
  const add = (row: T): void => {
    const made = entries(row)
    byRow.set(table.keyOf(row), made)
    for (const [address, owner] of made) current.set(address, owner)
  }
  const refresh = (): void => {
    if (follower.revision === table.revision) return
    const { updated, deleted } = follower.take()
    deleted.forEach(remove)
    for (const row of updated) if (byRow.has(table.keyOf(row))) remove(row)
    updated.forEach(add)
    for (const address of gone.keys()) {
      if (gone.size <= REMEMBERED) break
      gone.delete(address)
    }
  }
  return { current, gone, refresh, [Symbol.dispose]: () => follower[Symbol.dispose]() }
}
