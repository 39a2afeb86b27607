/**
 * Runs what the chart's DaemonSet and Deployment say, as processes of the lab: it stands for their controllers and for the
 * kubelets. A changed template replaces the daemons one node after another; init containers other than `preflight` do what
 * the lab has done already.
 */
import { createHash } from 'node:crypto'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { ApiClient } from '../api-server/client.ts'
import { inNamespace, runCommand } from '../command.ts'
import { daemonConfiguration } from '../configuration.ts'
import type { LabLayout, NodeLayout } from '../layout.ts'
import { type Built, isReady, spawnInside } from '../node.ts'
import { clusterSection, controlPlaneOf, OPERATORS } from './control-plane.ts'

type Tree = { readonly [key: string]: unknown }
interface Container {
  readonly name: string
  readonly command: readonly string[]
}
interface Workload {
  readonly metadata: { readonly generation?: number }
  readonly spec: {
    readonly replicas?: number
    readonly template: {
      readonly spec: { readonly containers: readonly Container[]; readonly initContainers?: readonly Container[] }
    }
  }
}
interface Running {
  readonly hash: string
  /** Absent where all that there was to do has been done. */
  readonly child?: ChildProcess
}

const NAMESPACE = 'kube-system'
const APPS = `/apis/apps/v1/namespaces/${NAMESPACE}`
const LOOK_MS = 250
const READY_MS = 60_000
const READY_POLL_MS = 50
const STOP_MS = 12_000

export interface WorkloadsOptions {
  readonly lab: LabLayout
  readonly nodes: readonly NodeLayout[]
  readonly built: Pick<Built, 'daemon'>
  readonly admin: ApiClient
  readonly say: (text: string) => void
}

export class Workloads {
  readonly #options: WorkloadsOptions
  /** Daemons by node, operators by name. */
  readonly #running = new Map<string, Running>()

  constructor(options: WorkloadsOptions) {
    this.#options = options
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#daemons(signal)
        await this.#operators(signal)
      } catch (error) {
        // An API server that is away changes nothing for what runs.
        this.#options.say(`not looked at: ${error instanceof Error ? error.message : String(error)}`)
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #daemons(signal: AbortSignal): Promise<void> {
    const { nodes } = this.#options
    const set = await this.#get(`${APPS}/daemonsets/causeway`)
    const config = await this.#config()
    if (set !== undefined) await this.#report(set)
    for (const node of nodes) {
      if (set === undefined || config === undefined) await this.#stop(node.name)
      else if (this.#differs(node.name, set)) await this.#replaceDaemon(node, set, config, signal)
      if (set !== undefined) await this.#report(set)
    }
  }

  async #replaceDaemon(node: NodeLayout, set: Workload, config: Tree, signal: AbortSignal): Promise<void> {
    const { lab, built, say } = this.#options
    await this.#stop(node.name)
    const own = daemonConfiguration(lab, node, { set: [], kubernetes: true })
    // No container lies between the daemon and the node.
    const paths = { ...(own.paths as Tree), sysctl: '/proc/sys' }
    writeFileSync(node.config, stringify(merged(config, { ...own, paths, 'cluster-pool': config['cluster-pool'] })))
    const { containers, initContainers = [] } = set.spec.template.spec
    const executable = built.daemon.slice(0, -1)
    for (const { name, command } of initContainers) {
      if (!['preflight', 'uninstall'].includes(name)) continue
      const [verb = '', ...options] = command.slice(1)
      const flags = options.filter(option => option.startsWith('--') && option !== '--config')
      const ran = await runCommand(inNamespace(node.netns, [...executable, verb, ...flags, '--config', node.config]), {
        signal,
      })
      say(`${node.name}: ${name} ends with ${ran.status}${ran.status === 0 ? '' : `: ${ran.stdout}${ran.stderr}`}`)
      if (ran.status !== 0) return
    }
    if (containers[0]?.name !== 'daemon') {
      this.#running.set(node.name, { hash: hashOf(set) })
      return
    }
    const child = spawnInside(lab, node, [...built.daemon, '--config', node.config], node.log)
    this.#running.set(node.name, { hash: hashOf(set), child })
    const deadline = performance.now() + READY_MS
    while (!(await isReady(node, signal)) && performance.now() < deadline && !hasEnded(child))
      await delay(READY_POLL_MS, undefined, { signal })
    say(`${node.name}: the daemon ${(await isReady(node, signal)) ? 'is ready' : 'is not ready'}`)
  }

  async #operators(signal: AbortSignal): Promise<void> {
    const deployment = await this.#get(`${APPS}/deployments/causeway-operator`)
    const config = await this.#config()
    const { lab, built } = this.#options
    const { state } = controlPlaneOf(lab)
    for (const [n, name] of OPERATORS.entries()) {
      if (signal.aborted) return
      if (deployment === undefined || config === undefined || n >= (deployment.spec.replicas ?? 1))
        await this.#stop(name)
      else if (this.#differs(name, deployment)) {
        await this.#stop(name)
        const operator = { listen: `127.0.0.1:${9963 + n}`, namespace: NAMESPACE }
        const file = join(state, `${name}.yaml`)
        const { paths: _, ...rest } = config
        writeFileSync(file, stringify({ ...rest, cluster: clusterSection(lab, 'causeway-operator'), operator }))
        const command = [...built.daemon.slice(0, -1), 'operator', '--config', file]
        const child = spawnInside(lab, lab.control, command, join(state, `${name}.log`))
        this.#running.set(name, { hash: hashOf(deployment), child })
      }
    }
    if (deployment === undefined) return
    const replicas = deployment.spec.replicas ?? 1
    const counts = { replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas }
    const conditions = [
      { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' },
      { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' },
    ]
    const status = { observedGeneration: deployment.metadata.generation, ...counts, conditions }
    await this.#options.admin.patch(`${APPS}/deployments/causeway-operator/status`, { status })
  }

  /** What `kubectl rollout status` goes by. */
  async #report(set: Workload): Promise<void> {
    const { nodes, admin } = this.#options
    const current = nodes.filter(({ name }) => !this.#differs(name, set)).length
    const status = {
      observedGeneration: set.metadata.generation,
      desiredNumberScheduled: nodes.length,
      currentNumberScheduled: nodes.length,
      updatedNumberScheduled: current,
      numberReady: current,
      numberAvailable: current,
      numberMisscheduled: 0,
    }
    await admin.patch(`${APPS}/daemonsets/causeway/status`, { status })
  }

  #differs(name: string, workload: Workload): boolean {
    const running = this.#running.get(name)
    if (running === undefined || running.hash !== hashOf(workload)) return true
    return running.child !== undefined && hasEnded(running.child)
  }

  async #stop(name: string): Promise<void> {
    const running = this.#running.get(name)
    this.#running.delete(name)
    if (running?.child === undefined || hasEnded(running.child)) return
    const ended = once(running.child, 'exit')
    running.child.kill('SIGTERM')
    await Promise.race([ended, delay(STOP_MS, undefined, { ref: false })])
    running.child.kill('SIGKILL')
  }

  /** The configuration of the release; undefined when there is none. */
  async #config(): Promise<Tree | undefined> {
    const { status, json } = await this.#options.admin.get(`/api/v1/namespaces/${NAMESPACE}/configmaps/causeway`)
    const text = (json as { data?: Record<string, string> }).data?.['config.yaml']
    return status === 200 && text !== undefined ? (parse(text) as Tree) : undefined
  }

  async #get(path: string): Promise<Workload | undefined> {
    const { status, json } = await this.#options.admin.get(path)
    return status === 200 ? (json as unknown as Workload) : undefined
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Of what makes another pod. */
function hashOf({ spec }: Workload): string {
  return createHash('sha256').update(JSON.stringify(spec.template)).digest('hex')
}

/** `over` laid over `under`, groups key by key. */
function merged(under: Tree, over: Tree): Tree {
  const isGroup = (value: unknown): value is Tree =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const entries = Object.entries(over).map(([key, value]) => {
    const below = under[key]
    return [key, isGroup(value) && isGroup(below) ? merged(below, value) : value] as const
  })
  return { ...under, ...Object.fromEntries(entries.filter(([, value]) => value !== undefined)) }
}
