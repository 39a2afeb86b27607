/** What the daemon offers a plugin, in memory. */
import type { Kernel } from '../../daemon/kernel/kernel.ts'
import type { Host } from '../../daemon/plugin.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { FakeLog } from './fake-log.ts'
import { FakeMetrics } from './fake-metrics.ts'

export interface FakeHost extends Host {
  readonly log: FakeLog
  readonly metrics: FakeMetrics
  readonly tables: Tables
  /** Aborts the host's signal and runs what was deferred, last first. */
  stop(): Promise<void>
}

/** A host of the node `node-a` with pods of both families; without a kernel given, a plugin that touches one fails. */
export function fakeHost(kernel?: Kernel): FakeHost {
  const stop = new AbortController()
  const undo = new AsyncDisposableStack()
  return {
    log: new FakeLog(),
    metrics: new FakeMetrics(),
    tables: createTables(),
    nodeName: 'node-a',
    families: [4, 6],
    signal: stop.signal,
    kernel: kernel ?? noKernel(),
    defer: disposable => {
      undo.use(disposable)
    },
    async stop() {
      stop.abort()
      await undo.disposeAsync()
    },
  }
}

function noKernel(): Kernel {
  // Every access throws, so that the shape of the target does not matter.
  return new Proxy({} as Kernel, {
    get: (_, name) => {
      throw new Error(`this test has no kernel, but ${String(name)} was used`)
    },
  })
}
