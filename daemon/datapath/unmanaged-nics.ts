/**
 * Tells the managers of the host's network to leave network interfaces alone that are pods': systemd-networkd by a
 * `.network` file, NetworkManager by one of its configuration. Both read them when they start or are told to reload; what
 * they did before is put right by `nic-devices.ts`.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ManagerPaths {
  /** Of systemd.network(5). */
  readonly networkd: string
  /** Of NetworkManager.conf(5). */
  readonly networkManager: string
}

/** Of several files that match, networkd takes the first by name, in whatever directory it is. */
const NETWORKD_FILE = '05-causeway.network'
const NETWORK_MANAGER_FILE = '05-causeway.conf'

/** Makes the files name exactly these MAC addresses; without any there are none. Throws what the file system says. */
export function tellManagers(paths: ManagerPaths, macs: readonly string[]): void {
  const sorted = macs.map(mac => mac.toLowerCase()).toSorted()
  for (const [path, content] of contents(paths, sorted)) {
    if (sorted.length === 0) rmSync(path, { force: true })
    else if (textOf(path) !== content) writeWhole(path, content)
  }
}

function contents(
  { networkd, networkManager }: ManagerPaths,
  macs: readonly string[],
): [path: string, content: string][] {
  const why = '# Written by causeway, which configures these network interfaces for pods.\n'
  const devices = macs.map(mac => `mac:${mac}`).join(';')
  return [
    [join(networkd, NETWORKD_FILE), `${why}[Match]\nMACAddress=${macs.join(' ')}\n\n[Link]\nUnmanaged=yes\n`],
    [join(networkManager, NETWORK_MANAGER_FILE), `${why}[keyfile]\nunmanaged-devices+=${devices}\n`],
  ]
}

/** A manager that starts meanwhile reads the one or the other, never a part. */
function writeWhole(path: string, content: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  // Of a name that both managers pass over.
  writeFileSync(`${path}.tmp`, content, { mode: 0o644 })
  renameSync(`${path}.tmp`, path)
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
