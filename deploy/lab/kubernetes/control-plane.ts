/** The control plane of a lab in its Kubernetes form: an API server, what a cluster has around it, and operators. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { ROOT } from '../built.ts'
import type { LabOptions } from '../configuration.ts'
import { bare as addressOf, type LabLayout } from '../layout.ts'
import { type Built, endOf, spawnInside } from '../node.ts'

const PORT = 6443
const READY_TIMEOUT_MS = 60_000
const POLL_MS = 20
const NAMESPACE = 'kube-system'
/** Those that run at once, of which one leads. */
export const OPERATORS = ['operator-1', 'operator-2'] as const
export type OperatorName = (typeof OPERATORS)[number]

/** Where things of the control plane lie. */
export interface ControlPlane {
  readonly url: string
  /** The API server's certificates, tokens and objects. */
  readonly state: string
  /** Leads to the API server from outside its namespace. */
  readonly socket: string
  /** Of the administrator. */
  readonly kubeconfig: string
}

export function controlPlaneOf(lab: LabLayout): ControlPlane {
  const state = join(lab.root, 'control')
  const [address = ''] = lab.control.addresses
  return {
    url: `https://${addressOf(address)}:${PORT}`,
    state,
    socket: join(state, 'api.sock'),
    kubeconfig: join(state, 'kubeconfig'),
  }
}

/** The section `cluster` of the configuration of whoever speaks as a service account. */
export function clusterSection(lab: LabLayout, account: 'causeway' | 'causeway-operator'): object {
  const { url, state } = controlPlaneOf(lab)
  const serviceAccount = join(state, 'serviceaccounts', NAMESPACE, account)
  return { source: 'kubernetes', kubernetes: { servers: [url], serviceAccount } }
}

/** Starts it; resolves once the manifests of the lab are objects of the API server. */
export async function startControlPlane(
  lab: LabLayout,
  { bare, nodes, far = 0 }: Pick<LabOptions, 'bare' | 'nodes' | 'far'>,
  built: Built,
  signal: AbortSignal,
): Promise<void> {
  const plane = controlPlaneOf(lab)
  mkdirSync(plane.state, { recursive: true, mode: 0o700 })
  await startApiServer(lab, signal)
  const around = join(plane.state, 'around.log')
  const options = ['--url', plane.url, '--state', plane.state, '--manifests', lab.cluster, '--socket', plane.socket]
  if (bare) options.push('--workloads', lab.name, '--nodes', `${nodes}`, '--far', `${far}`)
  const command = [process.execPath, join(ROOT, 'deploy/lab/kubernetes/main.ts'), ...options]
  await says(spawnInside(lab, lab.control, command, around), around, 'ready', signal)
  if (!bare) for (const name of OPERATORS) startOperator(lab, name, built)
}

/** The API server, as it was before if there was one; with further options of its command. */
export async function startApiServer(lab: LabLayout, signal: AbortSignal, more: readonly string[] = []): Promise<void> {
  const { url, state } = controlPlaneOf(lab)
  const { host } = new URL(url)
  const accounts = ['causeway', 'causeway-operator'].flatMap(name => ['--service-account', `${NAMESPACE}/${name}`])
  const log = join(state, `api-server.log`)
  const before = existsSync(log) ? readFileSync(log, 'utf8').split('listening at').length : 1
  const options = ['--listen', host, '--state', state, ...accounts, ...more]
  const command = [process.execPath, join(ROOT, 'deploy/lab/api-server/main.ts'), ...options]
  await says(spawnInside(lab, lab.control, command, log), log, 'listening at', signal, before)
}

/** The configuration file of an operator. */
export function operatorConfig(lab: LabLayout, name: OperatorName): string {
  return join(controlPlaneOf(lab).state, `${name}.yaml`)
}

export function startOperator(lab: LabLayout, name: OperatorName, built: Pick<Built, 'daemon'>): void {
  const { state } = controlPlaneOf(lab)
  const config = operatorConfig(lab, name)
  const lease = { durationSeconds: 5, renewSeconds: 3, retrySeconds: 1 }
  const operator = { namespace: NAMESPACE, lease, listen: `127.0.0.1:${9963 + OPERATORS.indexOf(name)}` }
  writeFileSync(config, stringify({ cluster: clusterSection(lab, 'causeway-operator'), operator }))
  const command = [...built.daemon.slice(0, -1), 'operator', '--config', config]
  spawnInside(lab, lab.control, command, join(state, `${name}.log`))
}

/** Resolves once a log holds a word, `more` times in all; rejects with the end of the log when its program ends before. */
async function says(child: ChildProcess, log: string, word: string, signal: AbortSignal, more = 1): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  const text = (): string => readFileSync(log, 'utf8')
  while (text().split(word).length <= more) {
    const ended = child.exitCode ?? child.signalCode
    if (ended !== null) throw new Error(`what writes ${log} ended (${ended}):\n${endOf(text())}`)
    if (performance.now() > deadline) throw new Error(`${log} does not say '${word}':\n${endOf(text())}`)
    await delay(POLL_MS, undefined, { signal })
  }
}
