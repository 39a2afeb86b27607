/**
 * Container images without a registry or an engine: the layout of the OCI image specification 1.1, as a folder or as one
 * archive. What goes in is data, so that the same input gives the same digest.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { mustRun } from '../lab/command.ts'
import { tar } from './tar.ts'
import { fileOf, type Tree } from './tree.ts'

/** Processors by their names in images. */
export const ARCHITECTURES = ['amd64', 'arm64'] as const
export type Architecture = (typeof ARCHITECTURES)[number]

/** This machine's. */
export function ownArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64'
}

export interface ImageContent {
  /** Such as `localhost/pause:1`; with a host, because runtimes complete names that have none. */
  readonly name: string
  readonly platforms: readonly PlatformContent[]
  /** Of the index and of each manifest, and as labels of the configurations. */
  readonly annotations?: Readonly<Record<string, string>>
}

export interface PlatformContent {
  readonly architecture: Architecture
  /** The lowest first. */
  readonly layers: readonly LayerContent[]
  readonly entrypoint: readonly string[]
  readonly path: string
  /** UID:GID. */
  readonly user?: string
}

export interface LayerContent {
  /** What it is, for the image's history. */
  readonly about: string
  readonly tree: Tree
}

export interface WriteOptions {
  /** Seconds since 1970 that everything in the images bears; 0 unless given. */
  readonly seconds?: number
  /** Layers are compressed, and kept in this folder for the next time; without it they lie as they are. */
  readonly cache?: string
  readonly say?: (text: string) => void
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const MEDIA = 'application/vnd.oci.image'

/**
 * Writes one archive with all the images where `path` ends in .tar, else a folder; what was there is replaced when all is
 * done. Resolves to the digests by the images' names.
 */
export async function writeImages(
  path: string,
  images: readonly ImageContent[],
  options: WriteOptions = {},
): Promise<Readonly<Record<string, string>>> {
  mkdirSync(dirname(path), { recursive: true })
  const work = mkdtempSync(`${path}.`)
  try {
    const layout = new Layout(join(work, 'layout'), options)
    const manifests: Descriptor[] = []
    for (const image of images) manifests.push(await addImage(layout, image))
    layout.finish(manifests)
    const made = path.endsWith('.tar') ? packFolder(layout.folder, join(work, 'archive'), options) : layout.folder
    rmSync(path, { recursive: true, force: true })
    renameSync(made, path)
    return Object.fromEntries(images.map(({ name }, i) => [name, manifests[i]?.digest ?? '']))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function addImage(layout: Layout, { name, platforms, annotations = {} }: ImageContent): Promise<Descriptor> {
  const manifests: object[] = []
  for (const content of platforms) {
    const { architecture } = content
    const manifest = await addPlatform(layout, content, annotations)
    manifests.push({ ...manifest, platform: { architecture, os: 'linux' } })
  }
  const mediaType = `${MEDIA}.index.v1+json`
  const index = layout.addObject(mediaType, { schemaVersion: 2, mediaType, manifests, annotations })
  // The first is for containerd, the second for those that go by the specification.
  const names = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name }
  return { ...index, annotations: names } as Descriptor
}

async function addPlatform(
  layout: Layout,
  content: PlatformContent,
  annotations: Readonly<Record<string, string>>,
): Promise<Descriptor> {
  const { architecture, entrypoint, path, user = '0:0' } = content
  const layers: Awaited<ReturnType<Layout['addLayer']>>[] = []
  for (const layer of content.layers) layers.push(await layout.addLayer(layer, architecture))
  const created = layout.created
  const config = layout.addObject(`${MEDIA}.config.v1+json`, {
    created,
    architecture,
    os: 'linux',
    config: { User: user, Env: [`PATH=${path}`], Entrypoint: entrypoint, Labels: annotations },
    rootfs: { type: 'layers', diff_ids: layers.map(l => l.diffId) },
    history: content.layers.map(({ about }) => ({ created, created_by: about })),
  })
  const mediaType = `${MEDIA}.manifest.v1+json`
  const descriptors = layers.map(l => l.descriptor)
  return layout.addObject(mediaType, { schemaVersion: 2, mediaType, config, layers: descriptors, annotations })
}

/** The folder while it is written. */
class Layout {
  readonly folder: string
  readonly #seconds: number
  readonly #cache: string | undefined
  readonly #say: (text: string) => void

  constructor(folder: string, { seconds = 0, cache, say = () => {} }: WriteOptions) {
    this.folder = folder
    this.#seconds = seconds
    this.#cache = cache
    this.#say = say
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
  }

  get created(): string {
    return new Date(this.#seconds * 1000).toISOString().replace('.000', '')
  }

  addObject(mediaType: string, content: object): Descriptor {
    const bytes = Buffer.from(JSON.stringify(content))
    const digest = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(this.#blob(digest), bytes)
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length }
  }

  /** `diffId` is the digest of the layer before it is compressed. */
  async addLayer(
    { about, tree }: LayerContent,
    architecture: Architecture,
  ): Promise<{ readonly descriptor: Descriptor; readonly diffId: string }> {
    const plain = join(this.folder, '../layer.tar')
    const digest = writeTar(plain, tree, this.#seconds)
    const diffId = `sha256:${digest}`
    const mediaType = `${MEDIA}.layer.v1.tar`
    if (this.#cache === undefined) {
      renameSync(plain, this.#blob(digest))
      return { descriptor: { mediaType, digest: diffId, size: statSync(this.#blob(digest)).size }, diffId }
    }
    const compressed = await this.#compressed(plain, join(this.#cache, `${architecture}-${digest}.gz`), about)
    const bytes = readFileSync(compressed)
    const blob = createHash('sha256').update(bytes).digest('hex')
    copyFileSync(compressed, this.#blob(blob))
    return { descriptor: { mediaType: `${mediaType}+gzip`, digest: `sha256:${blob}`, size: bytes.length }, diffId }
  }

  finish(manifests: readonly Descriptor[]): void {
    const mediaType = `${MEDIA}.index.v1+json`
    writeFileSync(join(this.folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
    writeFileSync(join(this.folder, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
  }

  /** GNU gzip gives the same bytes on every machine, which Node's zlib does not promise. */
  async #compressed(plain: string, target: string, about: string): Promise<string> {
    if (existsSync(target)) return target
    this.#say(`compressing ${about}`)
    mkdirSync(dirname(target), { recursive: true })
    await mustRun(['gzip', '--no-name', '-6', '--force', plain])
    // The cache may lie on another file system; a name there stands for whole content.
    copyFileSync(`${plain}.gz`, `${target}.${process.pid}`)
    renameSync(`${target}.${process.pid}`, target)
    rmSync(`${plain}.gz`)
    forgetOldest(dirname(target))
    return target
  }

  #blob(digest: string): string {
    return join(this.folder, 'blobs/sha256', digest)
  }
}

/** Layers of a few states of the project. */
const KEPT_LAYERS = 12

function forgetOldest(folder: string): void {
  const made = readdirSync(folder).map(name => ({ name, ms: statSync(join(folder, name)).mtimeMs }))
  for (const { name } of made.toSorted((a, b) => b.ms - a.ms).slice(KEPT_LAYERS)) rmSync(join(folder, name))
}

/** Returns the archive's digest. */
function writeTar(path: string, tree: Tree, seconds: number): string {
  const hash = createHash('sha256')
  const fd = openSync(path, 'w')
  try {
    for (const part of tar(tree, seconds)) {
      writeFileSync(fd, part)
      hash.update(part)
    }
  } finally {
    closeSync(fd)
  }
  return hash.digest('hex')
}

function packFolder(folder: string, archive: string, { seconds = 0 }: WriteOptions): string {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(f =>
    statSync(join(folder, f)).isFile(),
  )
  writeTar(archive, new Map(files.map(f => [f, fileOf(join(folder, f))])), seconds)
  return archive
}
