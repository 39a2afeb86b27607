/** Judges the objects of the own kinds after each change, and has them say so themselves. */
import type { Refusal } from '../cluster-side.ts'
import type { SourceProblem } from '../cluster/source.ts'
import { eachChange } from '../state/each-change.ts'
import { pause } from '../state/pause.ts'
import { judgePolicies } from './judge-policies.ts'
import { judgePool } from './judge-pools.ts'
import { judgeSettings } from './judge-settings.ts'
import { SettingsChecks } from './settings-checks.ts'
import type { PodRanges } from './pod-ranges.ts'
import { PodSearch, type PodSearchOptions } from './pod-search.ts'
import type { OperatorTables, UnusableRow } from './rows.ts'
import { type Judgement, LOOK_AGAIN_MS, Teller, type TellerOptions, wanted } from './verdict.ts'

export interface OwnStatusOptions extends TellerOptions, PodSearchOptions {
  readonly client: TellerOptions['client'] & PodSearchOptions['client']
  readonly tables: OperatorTables
  readonly ranges: Pick<PodRanges, 'uses' | 'foreign' | 'changed'>
  readonly refusal: Refusal
}

const RETRY_MS = 2000
/** What takes long is not done all the time: so many times as long is rested from it, and no longer than that. */
const REST_SHARE = 4
const LONGEST_REST_MS = 500

export class OwnStatus {
  readonly #options: OwnStatusOptions
  readonly #teller: Teller
  readonly #pods: PodSearch
  readonly #checks: SettingsChecks
  #last: readonly Judgement[] = []
  #failures: readonly string[] = []

  constructor(options: OwnStatusOptions) {
    this.#options = options
    this.#teller = new Teller(options)
    this.#pods = new PodSearch(options)
    this.#checks = new SettingsChecks(options.refusal)
  }

  /** What is bad, apart from objects that cannot be read. */
  get problems(): readonly SourceProblem[] {
    const { unusable } = this.#options.tables
    const judged = this.#last.filter(each => unusable.get(unusableKey(each)) === undefined)
    const found = judged.flatMap(({ resource, object, conditions }) =>
      conditions.filter(({ bad }) => bad).map(({ message }) => ({ place: `${resource.kind} ${object.name}`, message })),
    )
    return [...found, ...this.#failures.map(message => ({ place: 'status of own kinds', message }))]
  }

  /** Until the signal aborts. All tables must hold the whole cluster. */
  async run(signal: AbortSignal): Promise<void> {
    const { tables, ranges, clock } = this.#options
    const { nodes, pools, settings, egressPolicies, namespaces, services, serviceRanges, cloudSubnets, unusable } =
      tables
    const judged = [nodes, pools, settings, egressPolicies, namespaces, services, serviceRanges, cloudSubnets, unusable]
    const follow = [...judged, ranges.changed, this.#pods.changed]
    await Promise.all([this.#pods.run(signal), eachChange(follow, () => this.#act(signal), signal, clock)])
  }

  async #act(signal: AbortSignal): Promise<number> {
    const { clock } = this.#options
    const began = clock.now()
    const { settings, nodes } = this.#options.tables
    const refusals = await this.#checks.refusals([...settings], [...nodes])
    this.#last = this.#judge(refusals)
    const restMs = Math.min(LONGEST_REST_MS, REST_SHARE * (clock.now() - began))
    this.#failures = await this.#teller.tell(this.#last, signal)
    await pause(clock, restMs, signal)
    return this.#failures.length > 0 ? RETRY_MS : LOOK_AGAIN_MS
  }

  /** An object that cannot be read is judged as it is now, although what it said before still counts. */
  #judge(refusals: ReadonlyMap<string, string>): readonly Judgement[] {
    const { tables, ranges } = this.#options
    const nodes = [...tables.nodes]
    const foreign = ranges.foreign
    const judged = [
      ...ranges.uses.map(use => judgePool(use, foreign.get(use.pool.name) ?? [])),
      ...judgeSettings([...tables.settings], nodes, refusals),
      ...judgePolicies([...tables.egressPolicies], {
        nodes,
        namespaces: [...tables.namespaces],
        selectsPods: policy => this.#pods.selectsPods(policy),
      }),
    ]
    const known = new Set(judged.map(unusableKey))
    return [
      ...judged.filter(each => tables.unusable.get(unusableKey(each)) === undefined),
      ...[...tables.unusable].map(row => judgeUnusable(row, known.has(tables.unusable.keyOf(row)))),
    ]
  }
}

function unusableKey({ resource, object }: Judgement): string {
  return `${resource.kind} ${object.name}`
}

function judgeUnusable(row: UnusableRow, before: boolean): Judgement {
  const message = `${row.message}${before ? '; what it said before counts until this is mended' : ''}`
  return { resource: row.resource, object: row, conditions: [wanted('Ready', false, 'Unusable', message)] }
}
