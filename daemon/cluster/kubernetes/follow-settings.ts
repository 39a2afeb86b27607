/** Sees when the NodeSettings of this node become others than those that the daemon runs with. */
import { isDeepStrictEqual } from 'node:util'
import type { SettingsLayer } from '../../config/load.ts'
import type { Tables } from '../../state/tables.ts'
import { Table } from '../../state/table.ts'
import { eachChange } from '../../state/each-change.ts'
import { pause } from '../../state/pause.ts'
import { layersFor, type NodeSettingsRow, parseNodeSettings } from '../node-settings.ts'
import type { SourceProblem } from '../source.ts'
import { RESOURCES } from './resources.ts'
import { byProblem, rowsOf, type WatchedRows, watchRows, type WatchOptions } from './watched-rows.ts'

export interface FollowOptions extends WatchOptions {
  readonly nodeName: string
  readonly nodes: Tables['nodes']
  /** What the daemon runs with, the one that counts most last. */
  readonly current: readonly SettingsLayer[]
  /** Why a configuration with these layers cannot be used; undefined when it can. */
  readonly refusal: (layers: readonly SettingsLayer[]) => Promise<string | undefined>
  readonly random?: () => number
}

/** The nodes that a change is for do not start their daemons anew all at once. */
const SPREAD_MS = 10_000

export class SettingsFollower {
  readonly #options: FollowOptions
  readonly #rows = new Table<NodeSettingsRow>('nodeSettings', row => row.name)
  /** An empty list changes no row, and may be what takes settings away. */
  readonly #listed = this.#rows.initializer('cluster/kubernetes')
  readonly #watched: WatchedRows
  readonly #changed = Promise.withResolvers<'changed'>()
  #refused: { readonly layers: readonly SettingsLayer[]; readonly why: string } | undefined

  constructor(options: FollowOptions) {
    this.#options = options
    this.#watched = watchRows(options, {
      resource: RESOURCES.nodeSettings,
      parse: parseNodeSettings,
      target: rowsOf(this.#rows),
      synced: this.#listed,
    })
  }

  /** Resolves when the daemon should start anew with other settings; never rejects. */
  get changed(): Promise<'changed'> {
    return this.#changed.promise
  }

  get problems(): readonly SourceProblem[] {
    const names = this.#refused?.layers.map(({ name }) => name).join(', ')
    const refused = this.#refused && {
      place: `NodeSettings ${names}`,
      message: `${this.#refused.why}; the daemon goes on with what it had`,
    }
    const unheard = byProblem(this.#watched.watch.problem === undefined ? [] : [this.#watched])
    const away = unheard.map(({ names: kind, problem }) => ({
      place: `API server ${this.#options.client.server}`,
      message: `${kind}: ${problem}; the daemon goes on with what it had`,
    }))
    return [...away, ...this.#watched.problems(), ...(refused ? [refused] : [])]
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const follow = eachChange([this.#rows, this.#options.nodes], () => this.#look(signal), signal)
    await Promise.all([this.#watched.watch.run(signal), follow])
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { current, refusal, clock, log, random = Math.random } = this.#options
    const layers = this.#wanted()
    if (isDeepStrictEqual(layers, current)) this.#refused = undefined
    if (layers === undefined || [current, this.#refused?.layers].some(known => isDeepStrictEqual(layers, known))) return
    const nodeSettings = layers.map(({ name }) => name).join(', ')
    const why = await refusal(layers)
    this.#refused = why === undefined ? undefined : { layers, why }
    if (why !== undefined) {
      log.error({ nodeSettings, why }, 'new settings of this node cannot be used')
      return
    }
    const inMs = Math.round(random() * SPREAD_MS)
    log.info({ nodeSettings, inMs }, 'this node has other settings: the daemon starts anew')
    await pause(clock, inMs, signal)
    // What has changed meanwhile is looked at next.
    if (!signal.aborted && isDeepStrictEqual(this.#wanted(), layers)) this.#changed.resolve('changed')
  }

  /** What is for this node; undefined while that is not known. */
  #wanted(): readonly SettingsLayer[] | undefined {
    const { nodes, nodeName } = this.#options
    const node = nodes.get(nodeName)
    return this.#rows.initialized && node !== undefined ? layersFor(this.#rows, node.labels) : undefined
  }
}
