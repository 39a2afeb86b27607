/**
 * Whether there are pods that an EgressPolicy selects. Pods are asked for and not watched: there are very many, and all
 * that is wanted of them is whether there is one.
 */
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import type { LabelSelector } from '../state/egress-rows.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import { NAMESPACE_NAME, selects } from '../state/selectors.ts'
import type { OperatorTables, PolicyRow } from './rows.ts'

export interface PodSearchOptions {
  readonly client: Pick<ApiClient, 'list'>
  readonly tables: Pick<OperatorTables, 'egressPolicies' | 'namespaces'>
  readonly log: Logger
  readonly clock: Clock
}

/** Pods come and go unseen: so often it is asked again, sooner where none was found. */
const FOUND_MS = 5 * 60_000
const NOT_FOUND_MS = 30_000
/** Of a selector that more namespaces fulfil nothing is found out. */
const MOST_NAMESPACES = 50

export class PodSearch {
  readonly #options: PodSearchOptions
  readonly #known = new Map<string, { readonly found: boolean | undefined; readonly dueMs: number }>()
  /** Nudged when an answer has changed. */
  readonly changed = new Nudge()

  constructor(options: PodSearchOptions) {
    this.#options = options
  }

  /** Undefined while it is not known. */
  selectsPods(policy: PolicyRow): boolean | undefined {
    return this.#known.get(keyOf(policy))?.found
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#options
    await eachChange([tables.egressPolicies, tables.namespaces], () => this.#look(signal), signal, clock)
  }

  /** How long until the next is due. */
  async #look(signal: AbortSignal): Promise<number | undefined> {
    const { clock, tables } = this.#options
    const policies = [...tables.egressPolicies]
    const keys = new Set(policies.map(keyOf))
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key)
    for (const policy of policies) {
      const last = this.#known.get(keyOf(policy))
      if (last !== undefined && last.dueMs > clock.now()) continue
      const found = await this.#search(policy, signal)
      this.#known.set(keyOf(policy), { found, dueMs: clock.now() + (found === true ? FOUND_MS : NOT_FOUND_MS) })
      if (found !== last?.found) this.changed.nudge()
    }
    const due = [...this.#known.values()].map(({ dueMs }) => dueMs - clock.now())
    return due.length === 0 ? undefined : Math.max(0, Math.min(...due))
  }

  async #search({ name, selectors }: PolicyRow, signal: AbortSignal): Promise<boolean | undefined> {
    let unknown = false
    try {
      for (const { pods, namespaces } of selectors) {
        const among = this.#fieldsFor(namespaces)
        if (among === undefined) unknown = true
        for (const fieldSelector of among ?? []) if (await this.#any(pods, fieldSelector, signal)) return true
      }
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.warn(
        { policy: name, error: messageOf(error) },
        'pods of an EgressPolicy could not be asked for',
      )
      return undefined
    }
    return unknown ? undefined : false
  }

  /** One question each; undefined where there would be too many. */
  #fieldsFor(namespaces: LabelSelector): readonly string[] | undefined {
    if (queryOf(namespaces) === '') return ['']
    const names = [...this.#options.tables.namespaces]
      .filter(({ name, labels }) => selects(namespaces, { ...labels, [NAMESPACE_NAME]: name }))
      .map(({ name }) => `metadata.namespace=${name}`)
    return names.length > MOST_NAMESPACES ? undefined : names
  }

  async #any(pods: LabelSelector, fieldSelector: string, signal: AbortSignal): Promise<boolean> {
    const labelSelector = queryOf(pods)
    const query = { ...(labelSelector !== '' && { labelSelector }), ...(fieldSelector !== '' && { fieldSelector }) }
    for await (const { items } of this.#options.client.list(RESOURCES.pods, { ...query, limit: 1 }, { signal }))
      if (items.length > 0) return true
    return false
  }
}

function keyOf({ uid, generation }: PolicyRow): string {
  return `${uid} ${generation}`
}

/** A selector as it stands in a question (Kubernetes API reference, "labelSelector"); empty selects everything. */
export function queryOf({ matchLabels, matchExpressions }: LabelSelector): string {
  const requirements = matchExpressions.map(({ key, operator, values }) => {
    switch (operator) {
      case 'In':
        return `${key} in (${values.join(',')})`
      case 'NotIn':
        return `${key} notin (${values.join(',')})`
      case 'Exists':
        return key
      case 'DoesNotExist':
        return `!${key}`
    }
  })
  return [...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`), ...requirements].join(',')
}
