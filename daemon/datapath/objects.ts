import { fileURLToPath } from 'node:url'

/** Programs that packets pass on a device, and the object that each is in. */
export const OBJECT_OF = {
  pod_out: 'pod',
  pod_in: 'pod',
  uplink_in: 'uplink',
  uplink_out: 'uplink',
  overlay_in: 'overlay',
  overlay_out: 'overlay',
} as const

/** Directory of the compiled programs, at the same place seen from a source file and from the bundle in build/daemon. */
export const OBJECT_DIRECTORY = fileURLToPath(new URL('../../build/bpf', import.meta.url))
