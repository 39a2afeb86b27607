/** What set-up built and a lab runs. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectFingerprint } from './fingerprint.ts'
import type { Built } from './node.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The program that checks and measures inside namespaces: static. */
export const PROBE = join(ROOT, 'build/probe/cw-probe')
/** The daemon and its command line in one file. */
export const BUNDLE = join(ROOT, 'build/daemon/causeway.cjs')

/** The project's own programs; another program may take the daemon's place. */
export function builtProject(daemon: string = BUNDLE): Built {
  return {
    probe: PROBE,
    cni: join(ROOT, 'build/cni/causeway'),
    daemon: [process.execPath, daemon, 'daemon'],
    fingerprint: projectFingerprint(ROOT, daemon),
  }
}
