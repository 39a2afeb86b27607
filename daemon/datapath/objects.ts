import { fileURLToPath } from 'node:url'

/** Directory of the compiled programs, at the same place seen from a source file and from the bundle in build/daemon. */
export const OBJECT_DIRECTORY = fileURLToPath(new URL('../../build/bpf', import.meta.url))
