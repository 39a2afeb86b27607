/** The objects of a folder of manifests, by file, read anew when a file changes. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export interface KubeManifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string }
  readonly status?: object
}

/** Files are replaced in one step: what is read is whole. */
export class ManifestFiles {
  readonly #folder: string
  readonly #files = new Map<string, { readonly stamp: string; readonly objects: readonly KubeManifest[] }>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** All objects as of now, in the order of their files. */
  async read(): Promise<readonly KubeManifest[]> {
    const names = (await readdir(this.#folder)).filter(name => /^[^.].*\.(ya?ml|json)$/.test(name)).sort()
    for (const name of this.#files.keys()) if (!names.includes(name)) this.#files.delete(name)
    for (const name of names) await this.#readFile(name)
    return names.flatMap(name => this.#files.get(name)?.objects ?? [])
  }

  async #readFile(name: string): Promise<void> {
    const path = join(this.#folder, name)
    try {
      const { mtimeNs, ino, size } = await stat(path, { bigint: true })
      const stamp = `${mtimeNs} ${ino} ${size}`
      if (this.#files.get(name)?.stamp === stamp) return
      this.#files.set(name, { stamp, objects: objectsOf(await readFile(path, 'utf8')) })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      this.#files.delete(name)
    }
  }
}

function objectsOf(text: string): KubeManifest[] {
  return parseAllDocuments(text).flatMap(document => {
    // The lab itself and its tests write these files.
    const value = document.toJS() as (KubeManifest & { readonly items?: readonly KubeManifest[] }) | null
    // As after the last line of three dashes.
    if (value === null) return []
    return value.kind === 'List' ? [...(value.items ?? [])] : [value]
  })
}
