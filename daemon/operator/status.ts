/** What `GET /v1/status` of an operator answers: the cluster as the one that leads sees it. */
import type { SourceProblem } from '../cluster/source.ts'
import type { BuildInfo } from '../observe/build.ts'
import type { Election } from './election.ts'
import type { Leadership } from './lead.ts'
import { isReady } from './node-readiness.ts'
import type { OperatorTables } from './rows.ts'
import { isOfLife } from './strays.ts'

export interface OperatorStatus {
  readonly build: BuildInfo
  readonly identity: string
  readonly leading: boolean
  /** Identity of the one that leads; empty when none does. */
  readonly leader: string
  /** Of one that does not lead the rest is empty. */
  readonly nodes: readonly NodeStatus[]
  /** NodeNetworks without a Node, which go 10 minutes after it. */
  readonly gone: readonly Pick<NodeStatus, 'name' | 'podCidrs'>[]
  readonly pools: readonly PoolStatus[]
  /** What the one that leads finds wrong, and rights that any of them lacks. */
  readonly problems: readonly SourceProblem[]
}

export interface NodeStatus {
  readonly name: string
  readonly podCidrs: readonly string[]
  /** The IPPool that they are from; empty when they are from none. */
  readonly pool: string
  /** Its daemon says so, in this life of the node. */
  readonly ready: boolean
  /** It bears the taint that keeps pods away until it is ready. */
  readonly tainted: boolean
}

export interface PoolStatus {
  readonly name: string
  readonly nodes: number
  readonly free: number
  readonly conflict?: string
}

export function operatorStatus(parts: {
  readonly build: BuildInfo
  readonly identity: string
  readonly election: Pick<Election, 'leading' | 'holder'>
  readonly leadership: Pick<Leadership, 'uses' | 'tables'> | undefined
  readonly problems: readonly SourceProblem[]
}): OperatorStatus {
  const { build, identity, election, leadership, problems } = parts
  return {
    build,
    identity,
    leading: election.leading,
    leader: election.holder,
    nodes: leadership === undefined ? [] : nodesOf(leadership.tables),
    gone: leadership === undefined ? [] : goneOf(leadership.tables),
    pools: (leadership?.uses() ?? []).map(({ pool, nodes, free, conflict }) => ({
      name: pool.name,
      nodes,
      free,
      ...(conflict !== undefined && { conflict }),
    })),
    problems,
  }
}

/** In the order of their names. */
function nodesOf({ nodes, networks }: Pick<OperatorTables, 'nodes' | 'networks'>): readonly NodeStatus[] {
  const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1))
  return sorted.map(node => {
    const found = networks.get(node.name)
    const network = found !== undefined && isOfLife(found, node) ? found : undefined
    return {
      name: node.name,
      podCidrs: network?.podCidrs ?? [],
      pool: network?.pool ?? '',
      ready: isReady(node, network),
      tainted: node.tainted,
    }
  })
}

function goneOf({ nodes, networks }: Pick<OperatorTables, 'nodes' | 'networks'>): OperatorStatus['gone'] {
  const alone = [...networks].filter(({ name }) => nodes.get(name) === undefined)
  return alone.map(({ name, podCidrs }) => ({ name, podCidrs }))
}
