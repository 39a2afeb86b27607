/** `status`: nodes, pods, addresses and the health of each daemon. */
import type { Status } from '../../daemon/api/status.ts'
import { get } from './api.ts'
import type { NodeLayout } from './layout.ts'
import type { Lab } from './state.ts'

export interface NodeStatus {
  readonly node: string
  readonly addresses: readonly string[]
  readonly podCidrs: readonly string[]
  /** `ready`, or what the daemon says or why it cannot be asked. */
  readonly health: string
  readonly log: string
  readonly pods: Readonly<Record<string, readonly string[]>>
}

export async function labStatus(lab: Lab, signal: AbortSignal): Promise<NodeStatus[]> {
  return await Promise.all(
    lab.nodes.map(async node => {
      const pods = lab.stations.filter(s => s.kind === 'pod' && s.node === node.name)
      return {
        node: node.name,
        addresses: node.addresses,
        podCidrs: lab.options.kubernetes ? await rangesOf(node, signal) : node.podCidrs,
        health: await health(node, signal),
        log: node.log,
        pods: Object.fromEntries(pods.map(p => [p.name, p.addresses])),
      }
    }),
  )
}

async function health(node: NodeLayout, signal: AbortSignal): Promise<string> {
  try {
    const { status, body } = await get(node.socket, '/v1/health', signal)
    return status === 200 ? 'ready' : `not ready: ${JSON.stringify(body)}`
  } catch (error) {
    return `no answer: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** What an operator has given the node, as its daemon has it; none while that does not answer. */
async function rangesOf(node: NodeLayout, signal: AbortSignal): Promise<readonly string[]> {
  const { body } = await get(node.socket, '/v1/status', signal).catch(() => ({ body: undefined }))
  return (body as Partial<Status> | undefined)?.pools?.flatMap(pool => pool.ranges) ?? []
}

export function statusText(nodes: readonly NodeStatus[]): string {
  return nodes.flatMap(nodeLines).join('\n')
}

function nodeLines(n: NodeStatus): string[] {
  const pods = Object.entries(n.pods).map(([name, addresses]) => `  ${name.padEnd(12)} ${addresses.join('  ')}`)
  return [
    `${n.node.padEnd(14)} ${n.addresses.join('  ')}  pods ${n.podCidrs.join('  ')}  ${n.health}`,
    ...pods,
    `  log          ${n.log}`,
  ]
}
