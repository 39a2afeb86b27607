/** `exec`: a command inside a pod, a node or the outside host, with this terminal. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inNamespace } from './command.ts'
import { inStation } from './inside.ts'
import { controlPlaneOf } from './kubernetes/control-plane.ts'
import type { Lab } from './state.ts'

/** Where set-up puts the command `causeway`, which finds the node's daemon by its configuration. */
const BIN = fileURLToPath(new URL('../../build/bin', import.meta.url))

/** Where it puts kubectl and helm. */
const KUBERNETES = fileURLToPath(new URL('../../build/kubernetes', import.meta.url))

/** Long enough for a command to end in good order; a second Ctrl-C reaches it through the terminal by itself. */
const END_TIMEOUT_MS = 5000

/**
 * Runs the command to its end, or to the end of the signal's patience: SIGTERM, then SIGKILL. Resolves to its exit status.
 * Throws when the lab has no such pod or node.
 */
export async function execIn(lab: Lab, name: string, command: readonly string[], signal: AbortSignal): Promise<number> {
  if (name === 'control' && lab.options.kubernetes) {
    const { kubeconfig, state } = controlPlaneOf(lab.layout)
    // What kubectl and helm keep at home goes with the lab.
    const own = { KUBECONFIG: kubeconfig, HOME: join(state, 'home') }
    return await runHere(inNamespace(lab.layout.control.netns, command), own, signal)
  }
  const station = lab.stations.find(s => s.name === name)
  if (station === undefined) {
    const names = [...lab.stations.map(s => s.name), ...(lab.options.kubernetes ? ['control'] : [])]
    throw new Error(`no pod or node ${name}; there are ${names.join(', ')}`)
  }
  const node = lab.nodes.find(n => n.name === station.node)
  const own = node === undefined ? {} : { CAUSEWAY_CONFIG: node.config }
  return await runHere(inStation(lab, station, command), own, signal)
}

/** With this terminal. */
async function runHere(command: readonly string[], own: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const [file = '', ...args] = command
  const path = [BIN, KUBERNETES, process.env.PATH ?? ''].join(':')
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, PATH: path, ...own } })
  const end = (): void => {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS).unref()
  }
  signal.addEventListener('abort', end, { once: true })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, by) => resolve(code ?? 128 + constants.signals[by ?? 'SIGTERM']))
  })
}
