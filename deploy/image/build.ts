/** Brings together what the image is made of, for each processor. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cniFor } from './cni.ts'
import { DEBIAN_PACKAGES, ENTRYPOINT, LABELS, layers, PATH, USER } from './content.ts'
import { debianPackages } from './debian.ts'
import { npmPackages } from './npm-packages.ts'
import type { Architecture, ImageContent, PlatformContent } from './oci-image.ts'

export interface BuildOptions {
  /** The project's folder, with everything compiled. */
  readonly root: string
  /** What is fetched is kept here. */
  readonly cache: string
  readonly say: (text: string) => void
}

/** Rejects when packages cannot be had, or are not what they should be. */
export async function imageContent(
  name: string,
  architectures: readonly Architecture[],
  options: BuildOptions,
): Promise<ImageContent> {
  const version = projectVersion(options.root)
  const annotations = { ...LABELS, 'org.opencontainers.image.version': version }
  const platforms: PlatformContent[] = []
  for (const architecture of architectures) platforms.push(await platformContent(architecture, version, options))
  return { name, platforms, annotations }
}

export function projectVersion(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }).version
}

async function platformContent(
  architecture: Architecture,
  version: string,
  { root, cache, say }: BuildOptions,
): Promise<PlatformContent> {
  const folder = join(cache, architecture)
  const debian = await debianPackages(DEBIAN_PACKAGES, { architecture, folder, say })
  const npm = await npmPackages(root, architecture, join(cache, 'npm'), say)
  const cni = await cniFor(architecture, { root, folder, say })
  const content = layers({ root, version, debian, npm, cni })
  return { architecture, layers: content, entrypoint: ENTRYPOINT, path: PATH, user: USER }
}
