/** A node of the lab: its folders, its bpffs, its daemon, and the server that stands for the host itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { inNamespace, mustRun, runCommand, withParent } from './command.ts'
import { get } from './api.ts'
import { enterCgroup, nodeCgroup } from './cgroup.ts'
import { daemonConfiguration, type LabOptions } from './configuration.ts'
import { type Process, processesIn, procFile } from './namespaces.ts'
import { type LabLayout, type NodeLayout, type Place, PROBE_PORT } from './layout.ts'

/** The programs a lab runs. */
export interface Built {
  readonly probe: string
  readonly cni: string
  /** Further CNI executables for the nodes' folder. */
  readonly cniPlugins?: readonly string[]
  /** Command that takes `--config FILE`. */
  readonly daemon: readonly string[]
  /** Of all that was built; a lab that is up with another is built again. */
  readonly fingerprint: string
}

/** A guest whose time is counted in instructions takes a minute to verify the programs. */
const READY_TIMEOUT_MS = 180_000
const PROBE_TIMEOUT_MS = 10_000
const POLL_MS = 20
const LOG_LINES_SHOWN = 15

export async function prepareNode(
  lab: LabLayout,
  node: NodeLayout,
  built: Built,
  options: Pick<LabOptions, 'set' | 'kubernetes'>,
) {
  const { run, state, cniConf, cniBin, networkd, networkManager } = node.paths
  for (const path of [run, state, cniConf, cniBin, networkd, networkManager, node.bpffs])
    mkdirSync(path, { recursive: true, mode: 0o700 })
  nodeCgroup(lab.name, node.name)
  await mustRun(withParent(['mount', '-t', 'bpf', 'bpf', node.bpffs]))
  mkdirSync(node.paths.bpf, { recursive: true })
  copyFileSync(built.cni, join(cniBin, 'causeway'))
  for (const plugin of built.cniPlugins ?? []) copyFileSync(plugin, join(cniBin, basename(plugin)))
  writeFileSync(node.config, stringify(daemonConfiguration(lab, node, options)))
}

/** Starts the daemon and resolves once it is ready; rejects with the end of its log when it ends or takes too long. */
export async function startDaemon(lab: LabLayout, node: NodeLayout, built: Built, signal: AbortSignal): Promise<void> {
  await daemonReady(node, launchDaemon(lab, node, built), signal)
}

export function launchDaemon(lab: LabLayout, node: NodeLayout, built: Pick<Built, 'daemon'>): ChildProcess {
  return spawnInside(lab, node, [...built.daemon, '--config', node.config], node.log)
}

/** The daemon's process; undefined when none runs. */
export function daemonProcess(node: NodeLayout): Process | undefined {
  return processesIn([node.netnsName]).find(({ pid }) => procFile(pid, 'cmdline').includes(node.config))
}

/** Resolves once a daemon that was launched is ready; rejects as `startDaemon` does. */
export async function daemonReady(node: NodeLayout, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (!(hasConflist(node) && (await isReady(node, signal)))) {
    const ended = child.exitCode ?? child.signalCode
    if (ended !== null) throw new Error(`the daemon of ${node.name} ended (${ended}):\n${logEnd(node)}`)
    if (performance.now() > deadline) throw new Error(`the daemon of ${node.name} is not ready:\n${logEnd(node)}`)
    await delay(POLL_MS, undefined, { signal })
  }
}

/** The runtime's sign that pods can be started. */
function hasConflist(node: NodeLayout): boolean {
  return readdirSync(node.paths.cniConf).some(name => name.endsWith('.conflist'))
}

/** Whether the daemon says it is ready; false also when it cannot be asked. */
export async function isReady(node: NodeLayout, signal: AbortSignal): Promise<boolean> {
  try {
    return (await get(node.socket, '/v1/health', signal)).status === 200
  } catch {
    return false
  }
}

/** The servers that checks talk to, in a pod's namespace or a node's. Resolves once they listen. */
export async function startProbe(
  lab: LabLayout,
  place: Place & { readonly node?: string },
  built: Built,
  signal: AbortSignal,
): Promise<void> {
  const log = join(lab.root, `${place.name}.probe.log`)
  spawnInside(lab, place, [built.probe, 'serve', `${PROBE_PORT}`], log)
  const deadline = performance.now() + PROBE_TIMEOUT_MS
  while (!(await probeServes(place, built, signal))) {
    if (performance.now() > deadline) throw new Error(`the probe in ${place.name} does not serve; see ${log}`)
    await delay(POLL_MS, undefined, { signal })
  }
}

/** Whether the servers of a namespace listen. */
export async function probeServes(place: Place, built: Built, signal: AbortSignal): Promise<boolean> {
  const check = [built.probe, 'check', 'tcp', '127.0.0.1', `${PROBE_PORT + 2}`, '1']
  return (await runCommand(inNamespace(place.netns, check), { signal })).status === 0
}

/** A process that outlives this one, in the place's namespace and the cgroup of its node. */
export function spawnInside(
  lab: LabLayout,
  place: Place & { readonly node?: string },
  command: readonly string[],
  logFile: string,
): ChildProcess {
  const log = openSync(logFile, 'a')
  const [file = '', ...args] = inNamespace(place.netns, command)
  const child = spawn(file, args, { cwd: '/', detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  child.on('error', () => {}) // seen by the caller as a process that ended
  child.unref()
  enterCgroup(nodeCgroup(lab.name, place.node ?? place.name), child.pid)
  return child
}

function logEnd(node: NodeLayout): string {
  return endOf(readFileSync(node.log, 'utf8'))
}

/** The last lines of a log, indented. */
export function endOf(log: string): string {
  const lines = log.trimEnd().split('\n')
  return lines
    .slice(-LOG_LINES_SHOWN)
    .map(l => `  ${l}`)
    .join('\n')
}
