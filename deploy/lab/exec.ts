/** `exec`: a command inside a pod, a node or the outside host, with this terminal. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { inNamespace } from '../../test/support/command.ts'
import type { Lab } from './state.ts'

/** Runs the command to its end; resolves to its exit status. Throws when the lab has no such pod or node. */
export async function execIn(lab: Lab, name: string, command: readonly string[]): Promise<number> {
  const station = lab.stations.find(s => s.name === name)
  if (station === undefined)
    throw new Error(`no pod or node ${name}; there are ${lab.stations.map(s => s.name).join(', ')}`)
  const node = lab.nodes.find(n => n.name === station.node)
  const [file = '', ...args] = inNamespace(station.netns, command)
  const child = spawn(file, args, {
    stdio: 'inherit',
    env: { ...process.env, ...(node === undefined ? {} : { CAUSEWAY_CONFIG: node.config }) },
  })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  })
}
