/** When the node may be given pods: its own Node object is known, and the runtime is told by the conflist. */
import { join } from 'node:path'
import { chainedVersions } from './api/chained-versions.ts'
import { CNI_VERSIONS, renderConflist, writeConflist } from './api/conflist.ts'
import type { Config } from './config/load.ts'
import type { Condition } from './observe/health.ts'
import type { Logger } from './plugin.ts'
import { eachChange } from './state/each-change.ts'
import type { Tables } from './state/tables.ts'

export interface ReadinessOptions {
  readonly config: Config
  readonly nodes: Tables['nodes']
  /** Holds from the first time the cluster source has this node's own object. */
  readonly ownNode: Condition
  /** Of others' network configurations. */
  readonly claim: { begin(): void }
  readonly log: Logger
}

/** Resolves when the runtime has been told, or the signal aborts first. */
export async function announceWhenReady(options: ReadinessOptions, signal: AbortSignal): Promise<void> {
  const { config, nodes, ownNode, claim, log } = options
  const known = new AbortController()
  const look = (): void => {
    if (nodes.get(config.nodeName) === undefined) {
      ownNode.fail(`the cluster source has no Node named ${config.nodeName}`)
    } else known.abort()
  }
  await eachChange([nodes], look, AbortSignal.any([signal, known.signal]))
  if (signal.aborted) return
  // Whoever finds the daemon ready finds the network configuration, too.
  ownNode.fail('known; the network configuration is being written')
  if (config.cni.writeConf) {
    await announceNetwork(config, log)
    claim.begin()
  }
  ownNode.pass()
}

/** The network configuration is the runtime's sign that pods can be started. */
async function announceNetwork({ network, paths, cni }: Config, log: Logger): Promise<void> {
  const types = cni.chained.map(plugin => plugin.type)
  const text = renderConflist({
    network: network.name,
    socket: join(paths.run, 'api.sock'),
    deleteQueue: join(paths.run, 'deletes'),
    addTimeoutMs: cni.addTimeoutMs,
    chained: cni.chained as readonly Readonly<Record<string, unknown>>[],
    versions: await chainedVersions({ binDirectory: paths.cniBin, types, own: CNI_VERSIONS, log }),
  })
  await writeConflist(paths.cniConf, cni.confName, text)
}
