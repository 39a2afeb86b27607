/** containerd on a node of the lab, with its images, as the node's kubelet would have it. */
import { copyFileSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LabLayout, NodeLayout } from '../../../deploy/lab/layout.ts'
import { isRunning, send } from '../../../deploy/lab/namespaces.ts'
import { mustRun, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../eventually.ts'
import { CONTAINERD_FILES, type ConfigVersion, containerdConfig } from './containerd-config.ts'
import { CriClient } from './cri-client.ts'
import { NodeSystem } from './node-system.ts'

/** Where containerd comes from. */
export interface ContainerdRelease {
  readonly configVersion: ConfigVersion
  /** Folder that holds a /usr with containerd, runc and the reference CNI plugins; empty for this machine's. */
  readonly root: string
}

/** What this machine's own packages bring. */
export const INSTALLED_CONTAINERD: ContainerdRelease = { configVersion: 2, root: '' }

/** The reference plugins of a release that nodes need: `loopback` for containerd 1.x itself, the others for chaining. */
export function referencePlugins(release: ContainerdRelease): string[] {
  return ['loopback', 'portmap', 'tuning'].map(name => join(release.root, '/usr/lib/cni', name))
}

/** Files that all nodes start from. */
export interface NodeFiles {
  /** Program of process 1. */
  readonly init: string
  readonly imageArchive: string
  readonly images: readonly string[]
}

const READY_TIMEOUT_MS = 60_000
const POLL_MS = 20

export class Containerd implements Disposable {
  readonly node: NodeLayout
  readonly system: NodeSystem
  readonly #release: ContainerdRelease
  #client: CriClient | undefined

  constructor(lab: LabLayout, node: NodeLayout, release: ContainerdRelease) {
    this.node = node
    this.system = new NodeSystem(lab, node, release.root)
    this.#release = release
  }

  /** The runtime's API. Throws while containerd does not run. */
  get cri(): CriClient {
    if (this.#client === undefined) throw new Error(`containerd of ${this.node.name} does not run`)
    return this.#client
  }

  /** Installs, boots the node, starts containerd and imports the images. */
  async install(files: NodeFiles): Promise<void> {
    const { node, system } = this
    const { folder } = system
    await system.install(files.init)
    const config = containerdConfig(this.#release.configVersion, { folder, ...node.paths })
    writeFileSync(this.#file('config'), config)
    await system.boot()
    await this.start()
    await this.importImages(files.imageArchive, files.images)
  }

  /** Takes images from an archive of this machine; resolves once the runtime knows them by their names. */
  async importImages(archive: string, images: readonly string[]): Promise<void> {
    const copy = join(this.system.folder, 'images.tar')
    copyFileSync(archive, copy)
    const ctr = ['ctr', '--address', this.#file('socket'), '--namespace', 'k8s.io', 'images', 'import', copy]
    await mustRun(withParent(this.system.inside(ctr)))
    rmSync(copy)
    // The runtime learns of images that others import by events.
    await eventually(async () => (await Promise.all(images.map(i => this.cri.hasImage(i)))).every(has => has))
  }

  /** Starts containerd and resolves once it answers; rejects with the end of its log. */
  async start(): Promise<void> {
    const log = openSync(this.#file('log'), 'a')
    const child = this.system.spawn(['containerd', '--config', this.#file('config')], log)
    closeSync(log)
    const deadline = performance.now() + READY_TIMEOUT_MS
    for (;;) {
      const client = new CriClient(this.#file('socket'))
      try {
        await client.version(1000)
        this.#client = client
        return
      } catch (cause) {
        client[Symbol.dispose]()
        if ((child.exitCode ?? child.signalCode) !== null || performance.now() > deadline)
          throw new Error(`containerd of ${this.node.name} does not answer:\n${this.logEnd()}`, { cause })
        await delay(POLL_MS)
      }
    }
  }

  /** Closes the connection to it. */
  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]()
    this.#client = undefined
  }

  /** Ends containerd alone: its sandboxes live on. Resolves when it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this[Symbol.dispose]()
    const own = this.system.processes().filter(p => p.name === 'containerd')
    send(signal, own)
    await eventually(() => !own.some(isRunning))
  }

  /** The whole node loses its power; `boot` brings it back with what lay on its disk. */
  async crash(): Promise<void> {
    this[Symbol.dispose]()
    await this.system.crash()
  }
  async boot(): Promise<void> {
    await this.system.boot()
    await this.start()
  }

  logEnd(lines = 20): string {
    return readFileSync(this.#file('log'), 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  }

  #file(name: keyof typeof CONTAINERD_FILES): string {
    return join(this.system.folder, CONTAINERD_FILES[name])
  }
}
