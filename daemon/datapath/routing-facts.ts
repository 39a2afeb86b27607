/** What `status` says of the ways to other nodes: which, why, and what cannot work. Pure. */
import type { CloudFinding } from '../cloud.ts'
import { ANNOTATION } from '../cluster/annotations.ts'
import type { Settings } from '../config/schema.ts'
import type { Cloud, NodeRow } from '../state/tables.ts'
import type { Way } from './paths.ts'

/** What must be so in a cloud's network for it to route addresses that it has not given. */
const TO_BE_ROUTED: Readonly<Record<Cloud, string>> = {
  aws: "the VPC's route tables lead to the nodes' ranges and their source/destination checks are off",
  azure: "route tables lead to the nodes' ranges and IP forwarding of their interfaces is on",
  gcp: "the VPC's routes lead to the nodes' ranges and the instances may forward IP",
}
/** As many are told by name. */
const NAMED = 6

/** `auto: native to n2, n3 (same link); overlay to n4 (other link)`. */
export function routingFact(mode: string, ways: readonly Way[]): string {
  const groups = new Map<string, string[]>()
  for (const way of ways)
    for (const kind of kindsOf(way)) {
      const nodes = groups.get(kind)
      if (nodes === undefined) groups.set(kind, [way.node.name])
      else nodes.push(way.node.name)
    }
  const said = [...groups].map(([kind, nodes]) => `${kind.replace(' ', ` to ${namesOf(nodes)} `)}`)
  return said.length === 0 ? mode : `${mode}: ${said.sort().join('; ')}`
}

/** `gcp (by Node.spec.providerID): …`. */
export function cloudFact({ cloud, by }: CloudFinding, own: NodeRow | undefined): string {
  const network = own?.nativeNetwork
  const follows =
    network !== undefined
      ? `pods are routed in network ${network}`
      : cloud === 'none'
        ? 'nodes on one link need no overlay'
        : own?.cloudSubnets !== undefined
          ? 'pods have addresses of its network interfaces, which its network carries'
          : 'links carry no addresses of pods, which take the overlay'
  return `${cloud} (${by}): ${follows}`
}

/** What is configured and cannot work as it stands; the daemon does as it is told all the same. */
export function routingProblems(
  { mode, nativeNetwork }: Pick<Settings['routing'], 'mode' | 'nativeNetwork'>,
  { cloud }: CloudFinding,
  own: NodeRow | undefined,
): string[] {
  const known = own?.nativeNetwork
  const problems: string[] = []
  if (own !== undefined && mode === 'native' && cloud !== 'none' && known === undefined)
    problems.push(
      `routing.mode is native, but the network of ${cloud} drops packets of addresses that it has not given, such as those ` +
        `of an IPPool: pods of other nodes are not reached. Set routing.mode to auto; or, where ${TO_BE_ROUTED[cloud]}, ` +
        `give that network a name (routing.nativeNetwork)`,
    )
  if (own !== undefined && nativeNetwork !== '' && known !== nativeNetwork)
    problems.push(
      `routing.nativeNetwork is ${nativeNetwork}, but the network that other nodes know this one by is ${known ?? 'none'}: ` +
        `${ANNOTATION.nativeNetwork} at the Node comes first, and with cluster.source directory only that is known to others`,
    )
  return problems
}

/** Kinds of way that are in use, each with its reason: `overlay (other link)`. */
function kindsOf({ hops, prefixes, addresses }: Way): Set<string> {
  const used = [...prefixes, ...addresses].map(({ family }) => hops[family])
  return new Set(used.flatMap(hop => (hop === undefined ? [] : `${hop.kind} (${hop.why})`)))
}

function namesOf(nodes: readonly string[]): string {
  if (nodes.length <= NAMED) return nodes.join(', ')
  return `${nodes.slice(0, NAMED - 1).join(', ')} and ${nodes.length - NAMED + 1} more`
}
