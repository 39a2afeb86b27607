/** Which node has which range of pods' addresses, also while two nodes claim the same one. */
import type { Prefix } from '../kernel/kernel.ts'
import type { NodeRow } from '../state/tables.ts'

export interface Ranges {
  /** By name of the node, for every node. */
  readonly of: ReadonlyMap<string, readonly Prefix[]>
  readonly problems: readonly string[]
}

/**
 * A range that several nodes claim is this node's own if it is among them, else that of the first by name. The pods of
 * the others there lie outside the ranges of their nodes, and are reached by a route for each. Pure.
 */
export function grantRanges(nodes: Iterable<NodeRow>, self: string): Ranges {
  const owners = new Map<Prefix, string>()
  const problems: string[] = []
  const granted = new Map<string, readonly Prefix[]>()
  const first = (a: NodeRow, b: NodeRow): number =>
    Number(b.name === self) - Number(a.name === self) || (a.name < b.name ? -1 : 1)
  for (const node of [...nodes].sort(first)) {
    const own = node.podCidrs.filter(range => {
      const owner = owners.get(range)
      if (owner === undefined) owners.set(range, node.name)
      else problems.push(`node ${node.name}: its range ${range} is also that of node ${owner}, which keeps it`)
      return owner === undefined
    })
    granted.set(node.name, own)
  }
  return { of: granted, problems }
}
