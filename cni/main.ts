/**
 * Entry of the program. The C host provides the one global and loads this once, when the executable is built; each run
 * of the executable calls what is given to `onStart`.
 */
import type { Host } from './host.ts'
import { run } from './plugin.ts'

declare const host: Host & { onStart(start: () => void): void }

host.onStart(() => run(host))
