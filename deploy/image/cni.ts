/** The CNI executable for a processor of the image. */
import { join } from 'node:path'
import { type Architecture, ownArchitecture } from './oci-image.ts'

export interface CniForImage {
  readonly binary: string
  /** deb-copyright of MuJS, which is in it. */
  readonly licence: string
}

export interface CniOptions {
  readonly root: string
  readonly folder: string
  readonly say: (text: string) => void
}

export async function cniFor(architecture: Architecture, { root }: CniOptions): Promise<CniForImage> {
  if (architecture !== ownArchitecture())
    throw new Error(`the CNI executable for ${architecture} can only be built on such a machine`)
  const licence = '/usr/share/doc/libmujs-dev/copyright'
  return await Promise.resolve({ binary: join(root, 'build/cni/causeway'), licence })
}
