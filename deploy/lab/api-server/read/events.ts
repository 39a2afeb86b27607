/** The lines of a watch. */
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import type { Change, Stored } from '../objects/collection.ts'
import type { Selects } from '../objects/selectors.ts'
import { bodyAt } from '../objects/store.ts'
import { type ApiError } from '../status.ts'
import { formOf, partialObject, wholeObject } from './represent.ts'
import { tableOf } from './table.ts'

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/**
 * What a change means for somebody who watches a selection: an object that leaves it is deleted for them. Undefined
 * when it does not concern them.
 */
export function eventOf(change: Change, selects: Selects): { type: EventType; stored: Stored } | undefined {
  const { before, after } = change
  const was = before !== undefined && (selects === undefined || selects(before)) ? before : undefined
  const is = after !== undefined && (selects === undefined || selects(after)) ? after : undefined
  if (is !== undefined) return { type: was === undefined ? 'ADDED' : 'MODIFIED', stored: is }
  return was === undefined ? undefined : { type: 'DELETED', stored: ending(change, was) }
}

/** Made once a change, however many watch it. */
const endings = new WeakMap<Change, Stored>()

/** The last state of an object with the revision of its end. */
function ending(change: Change, was: Stored): Stored {
  const known = endings.get(change)
  if (known !== undefined) return known
  const made = { ...was, revision: change.revision, body: bodyAt(was, change.revision) }
  endings.set(change, made)
  return made
}

/** Makes the lines of one watch, in the form its client asked for. */
export class EventWriter {
  readonly #resource: Resource
  readonly #accept: string
  readonly #now: () => string
  #tables = 0

  constructor(resource: Resource, accept: string, now: () => string) {
    this.#resource = resource
    this.#accept = accept
    this.#now = now
  }

  line(type: EventType, stored: Stored): Buffer {
    return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), this.#object(stored), LINE_END])
  }

  /** `initialEnd` marks that everything there was has been sent. */
  bookmark(revision: number, initialEnd: boolean): Buffer {
    const annotations = initialEnd ? { 'k8s.io/initial-events-end': 'true' } : undefined
    const metadata = { resourceVersion: `${revision}`, creationTimestamp: null, annotations }
    const { form, version } = formOf(this.#accept)
    const type =
      form === 'whole'
        ? { kind: this.#resource.kind, apiVersion: apiVersionOf(this.#resource) }
        : { kind: form, apiVersion: `meta.k8s.io/${version}` }
    const object =
      form === 'Table'
        ? { ...type, metadata: { resourceVersion: `${revision}` }, columnDefinitions: null, rows: [] }
        : { ...type, metadata }
    return Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
  }

  error(error: ApiError): Buffer {
    return Buffer.from(`${JSON.stringify({ type: 'ERROR', object: error })}\n`)
  }

  #object(stored: Stored): Buffer {
    const { form, version } = formOf(this.#accept)
    if (form === 'whole') return wholeObject(this.#resource, stored.body)
    if (form === 'PartialObjectMetadata') return partialObject(stored, version)
    const metadata = { resourceVersion: `${stored.revision}` }
    const headless = this.#tables++ > 0
    return Buffer.from(
      JSON.stringify(tableOf(this.#resource, [stored], { version, metadata, now: this.#now(), headless })),
    )
  }
}

const LINE_END = Buffer.from('}\n')
