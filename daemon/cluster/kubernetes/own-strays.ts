/**
 * Pods of this node at addresses that are in none of its ranges, as after its Node was deleted and registered anew. From an
 * API server other nodes learn a node's ranges and not its pods, so they have no way there.
 */
import { covers, parseAddress, parsePrefix } from '../../kernel/ip.ts'
import type { Address } from '../../kernel/kernel.ts'
import type { NodeRow, PodRow } from '../../state/tables.ts'
import type { SourceProblem } from '../source.ts'

/** As many as one reads. */
const NAMED = 5

/** One problem for all of them; none where the node is not known. */
export function strayProblems(node: NodeRow | undefined, pods: Iterable<PodRow>): readonly SourceProblem[] {
  if (node === undefined) return []
  const ranges = node.podCidrs.map(parsePrefix)
  const isInRange = (address: Address): boolean => ranges.some(range => covers(range, parseAddress(address)))
  const strays = [...pods].filter(pod => !pod.hostNetwork && !pod.addresses.every(isInRange))
  if (strays.length === 0) return []
  const names = strays.map(({ namespace, name }) => `${namespace}/${name}`).sort()
  const shown = names.slice(0, NAMED).join(', ')
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  const message = `other nodes do not reach pods at addresses outside this node's ranges: ${shown}${more}; delete them, so that they are started anew at others`
  return [{ place: `Node ${node.name}`, message }]
}
