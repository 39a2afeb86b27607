/**
 * The CNI network configuration list that the runtime reads. It is written when the daemon is ready, so that kubelet
 * reports the node as ready only then, and atomically, because runtimes watch the directory.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

export interface ConflistSettings {
  readonly network: string
  readonly socket: string
  readonly deleteQueue: string
  readonly addTimeoutMs: number
  /** Further plugins of the list, such as tuning, as they stand in the configuration. */
  readonly chained: readonly Readonly<Record<string, unknown>>[]
  /** Versions that all plugins of the list speak, lowest first; at least one. CNI_VERSIONS unless plugins are chained. */
  readonly versions: readonly string[]
}

/** Versions the executable speaks; runtimes that know `cniVersions` choose the highest they share (CNI 1.1.0). */
export const CNI_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** The list's text. Pure. */
export function renderConflist(settings: ConflistSettings): string {
  const { network, socket, deleteQueue, addTimeoutMs, chained, versions } = settings
  const capabilities = { ips: true, mac: true, portMappings: true }
  const own = { type: 'causeway', socket, deleteQueue, addTimeoutMs, capabilities }
  // Runtimes that know no `cniVersions` speak 1.0.0 at most.
  const cniVersion = versions.findLast(v => v !== '1.1.0') ?? versions[0]
  const list = { cniVersion, cniVersions: versions, name: network, plugins: [own, ...chained] }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** Writes the list to `directory/name` unless it is there already. Throws the file system's error. */
export async function writeConflist(directory: string, name: string, text: string): Promise<void> {
  const path = join(directory, name)
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return
  await mkdir(directory, { recursive: true })
  // A leading dot and no .conflist ending: runtimes must not pick up the unfinished file.
  const temporary = join(directory, `.${name}.tmp`)
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

/** Removes the list; absent is fine. */
export async function removeConflist(directory: string, name: string): Promise<void> {
  await rm(join(directory, name), { force: true })
  await rm(join(directory, `.${name}.tmp`), { force: true })
}
