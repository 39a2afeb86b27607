/** Looks from time to time whether the cluster's definitions of the own kinds are those of this build, and says when not. */
import { GOOD_STATES, type InstalledDefinition, installedDefinitions } from '../cluster/kinds/installed.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import type { EventRecorder } from '../cluster/kubernetes/events.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import type { SourceProblem } from '../cluster/source.ts'
import type { Logger } from '../plugin.ts'
import { eachChange } from '../state/each-change.ts'

export interface DefinitionsOptions {
  readonly client: Pick<ApiClient, 'get'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly log: Logger
}

const AGAIN_MS = 10 * 60_000
/** Somebody is at it, or the API server was away. */
const SOON_MS = 30_000

export class Definitions {
  readonly #options: DefinitionsOptions
  #last: readonly InstalledDefinition[] = []

  constructor(options: DefinitionsOptions) {
    this.#options = options
  }

  get problems(): readonly SourceProblem[] {
    return this.#last
      .filter(({ state }) => !GOOD_STATES.includes(state))
      .map(({ name, message }) => ({ place: `CustomResourceDefinition ${name}`, message }))
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await eachChange([], () => this.#look(signal), signal)
  }

  async #look(signal: AbortSignal): Promise<number> {
    const before = new Map(this.#last.map(each => [each.name, each.message]))
    this.#last = await installedDefinitions(this.#options.client, signal)
    for (const each of this.#last) {
      if (before.get(each.name) !== each.message) this.#log(each)
      await this.#warn(each, signal)
    }
    return this.problems.length === 0 ? AGAIN_MS : SOON_MS
  }

  #log({ name, state, message }: InstalledDefinition): void {
    const { log } = this.#options
    if (GOOD_STATES.includes(state))
      log.info({ definition: name, found: message }, `the definition of an own kind is ${state}`)
    else log.warn({ definition: name, found: message }, 'the definition of an own kind is not that of this build')
  }

  /** At each look: the recorder says the same thing once in a while. */
  async #warn({ name, uid, state, message }: InstalledDefinition, signal: AbortSignal): Promise<void> {
    if (GOOD_STATES.includes(state) || uid === '') return
    const object = { resource: RESOURCES.definitions, name, namespace: '', uid }
    const reason = state === 'unserved' ? 'VersionNotServed' : 'DefinitionOlder'
    await this.#options.events.warn(object, reason, message, signal)
  }
}
