/** What `GET /v1/status` answers and `causeway status` shows. */
import type { SourceProblem } from '../cluster/source.ts'
import type { BuildInfo } from '../observe/build.ts'
import type { PoolStatus } from '../plugin.ts'

export interface Status {
  readonly node: string
  readonly build: BuildInfo
  readonly kernel: string
  /** Unix time. */
  readonly startedMs: number
  readonly ready: boolean
  readonly waiting: readonly string[]
  /** Facts about the datapath in words, such as `uplinks: eth0 (tcx)`. */
  readonly datapath: Readonly<Record<string, string>>
  readonly pools: readonly PoolStatus[]
  readonly sources: readonly SourceStatus[]
  readonly plugins: readonly PluginStatus[]
  readonly tables: readonly TableStatus[]
  readonly problems: readonly SourceProblem[]
}

export interface SourceStatus {
  readonly name: string
  /** The first full sync is complete. */
  readonly synced: boolean
}

export interface PluginStatus {
  readonly name: string
  /** Slots and parts it fills, such as `ipam`. */
  readonly parts: readonly string[]
}

export interface TableStatus {
  readonly name: string
  readonly rows: number
  readonly revision: number
  /** Writers that have not finished their first sync. */
  readonly pending: readonly string[]
}
