/** Container images without a registry: an archive in the layout of the OCI image specification 1.0, made from files. */
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mustRun } from '../../../deploy/lab/command.ts'

export interface ImageContent {
  /** Such as `localhost/pause:1`; with a host, because runtimes complete names that have none. */
  readonly name: string
  /** Files of this machine by their path in the image, without the leading slash. */
  readonly files: Readonly<Record<string, string>>
  /** Targets by the path of the symbolic link. */
  readonly links?: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const MEDIA = 'application/vnd.oci.image'

/** Writes one archive with all the images, each of a single layer; works in a folder beside it. */
export async function writeImageArchive(path: string, images: readonly ImageContent[]): Promise<void> {
  const folder = `${path}.parts`
  mkdirSync(folder)
  try {
    const layout = join(folder, 'layout')
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true })
    const manifests = []
    for (const image of images) manifests.push(await addImage(layout, folder, image))
    writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
    await pack(layout, path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function addImage(layout: string, folder: string, image: ImageContent): Promise<object> {
  const tree = join(folder, 'tree')
  layOut(tree, image)
  const archive = join(folder, 'layer.tar')
  await pack(tree, archive)
  rmSync(tree, { recursive: true })
  const layer = addBlob(layout, `${MEDIA}.layer.v1.tar`, readFileSync(archive))
  const config = addBlob(layout, `${MEDIA}.config.v1+json`, {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: image.entrypoint, Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  })
  const manifest = { schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json`, config, layers: [layer] }
  const annotations = { 'io.containerd.image.name': image.name, 'org.opencontainers.image.ref.name': image.name }
  return { ...addBlob(layout, manifest.mediaType, manifest), annotations }
}

function layOut(tree: string, { files, links = {} }: ImageContent): void {
  mkdirSync(tree)
  for (const [to, from] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, to)), { recursive: true })
    copyFileSync(from, join(tree, to))
  }
  for (const [link, target] of Object.entries(links)) symlinkSync(target, join(tree, link))
}

/** Blobs lie by their digest; an object is stored as JSON. */
function addBlob(layout: string, mediaType: string, content: Buffer | object): Descriptor {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  const digest = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(layout, 'blobs/sha256', digest), bytes)
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length }
}

async function pack(folder: string, archive: string): Promise<void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name', '--mtime=@0']
  await mustRun(['tar', ...owner, '-C', folder, '-cf', archive, '.'])
}
