/** The control plane of a lab in its Kubernetes form: an API server, what a cluster has around it, and operators. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { ROOT } from '../built.ts'
import { CREDENTIALS, EC2_PORT } from '../aws/configuration.ts'
import { daemonConfiguration, type LabOptions } from '../configuration.ts'
import { bare as addressOf, type LabLayout, nodeLayout } from '../layout.ts'
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
export function clusterSection(
  lab: LabLayout,
  account: 'causeway' | 'causeway-operator',
  cloud?: LabOptions['cloud'],
): object {
  const { url, state } = controlPlaneOf(lab)
  const serviceAccount = join(state, 'serviceaccounts', NAMESPACE, account)
  const name = cloud === undefined ? {} : { name: lab.name }
  return { source: 'kubernetes', kubernetes: { servers: [url], serviceAccount }, ...name }
}

/** Starts it; resolves once the manifests of the lab are objects of the API server. */
export async function startControlPlane(
  lab: LabLayout,
  options: LabOptions,
  built: Built,
  signal: AbortSignal,
): Promise<void> {
  const { bare, nodes, far = 0, cloud } = options
  const plane = controlPlaneOf(lab)
  mkdirSync(plane.state, { recursive: true, mode: 0o700 })
  // First: the machines' first interfaces are the way to the rest.
  if (cloud !== undefined) await startEc2(lab, nodes, signal)
  await startApiServer(lab, signal)
  const around = join(plane.state, 'around.log')
  const words = ['--url', plane.url, '--state', plane.state, '--manifests', lab.cluster, '--socket', plane.socket]
  if (bare) words.push('--workloads', lab.name, '--nodes', `${nodes}`, '--far', `${far}`)
  const command = [process.execPath, join(ROOT, 'deploy/lab/kubernetes/main.ts'), ...words]
  await says(spawnInside(lab, lab.control, command, around), around, 'ready', signal)
  if (!bare)
    for (const name of OPERATORS) {
      writeFileSync(operatorConfig(lab, name), stringify(operatorConfiguration(lab, name, options)))
      startOperator(lab, name, built)
    }
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

/** What it holds: of what the daemons are configured to the same sections of a cloud. */
function operatorConfiguration(lab: LabLayout, name: OperatorName, { set, cloud }: LabOptions): object {
  const lease = { durationSeconds: 5, renewSeconds: 3, retrySeconds: 1 }
  const operator = { namespace: NAMESPACE, lease, listen: `127.0.0.1:${9963 + OPERATORS.indexOf(name)}` }
  const own = { cluster: clusterSection(lab, 'causeway-operator', cloud), operator }
  if (cloud === undefined) return own
  const of = daemonConfiguration(lab, nodeLayout(lab, 1), { set, cloud })
  return { ...own, families: of['families'], 'aws-eni': of['aws-eni'] }
}

/** Starts one by the configuration that it has. */
export function startOperator(lab: LabLayout, name: OperatorName, built: Pick<Built, 'daemon'>): void {
  const config = operatorConfig(lab, name)
  const command = ['env', ...CREDENTIALS, ...built.daemon.slice(0, -1), 'operator', '--config', config]
  spawnInside(lab, lab.control, command, join(controlPlaneOf(lab).state, `${name}.log`))
}

/** Resolves once EC2 of the lab answers, and the nodes have their uplinks. */
async function startEc2(lab: LabLayout, nodes: number, signal: AbortSignal): Promise<void> {
  const log = join(controlPlaneOf(lab).state, 'ec2.log')
  const options = ['--lab', lab.name, '--nodes', `${nodes}`, '--port', `${EC2_PORT}`, '--socket', ec2Socket(lab)]
  const command = [process.execPath, join(ROOT, 'deploy/lab/aws/main.ts'), ...options]
  await says(spawnInside(lab, lab.control, command, log), log, 'ready', signal)
}

/** Leads to EC2 from outside its namespace. */
export function ec2Socket(lab: LabLayout): string {
  return join(controlPlaneOf(lab).state, 'ec2.sock')
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
