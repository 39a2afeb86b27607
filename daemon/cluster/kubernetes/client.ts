/** What can be asked of the API server. Objects come as they were sent: whoever uses one checks it. */
import type { ClientHttp2Stream } from 'node:http2'
import { CausewayError, messageOf } from '../../errors.ts'
import { ApiError, ApiUnreachable } from './api-error.ts'
import type { Answer, ApiConnection, Question } from './connection.ts'
import { linesOf } from './lines.ts'
import { apiVersionOf, type ApiResource, type ObjectPlace, pathOf } from './resources.ts'

/** Members of a query that are undefined are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Page {
  readonly items: readonly unknown[]
  /** Of the whole list, the same on all its pages. */
  readonly resourceVersion: string
}

/** How much of each object is wanted: its metadata may be all that is read of it. */
export type Extent = 'whole' | 'metadata'

export interface WatchEvent {
  readonly type: string
  readonly object: unknown
}

/** Kinds of patch by their media types (Kubernetes API concepts, "Patch"). */
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
} as const
export type PatchType = keyof typeof PATCH_TYPES

export interface PatchOptions extends ObjectPlace {
  readonly name: string
  /** `merge` unless given. */
  readonly type?: PatchType
  readonly patch: unknown
}

/** Of one request, that a watch or a list of some length is not: both their parts come one by one. */
const REQUEST_MS = 30_000
/** client-go's page; a page of Nodes with their images and labels is then some megabytes. */
const PAGE = 500

type Asked = Pick<ApiConnection, 'ask' | 'server' | 'onConnected'>

/** Every method that asks throws ApiError, ApiUnreachable, or the reason of its signal. */
export class ApiClient {
  readonly #connection: Asked
  readonly #count: (question: Question, status: number) => void

  constructor(connection: Asked, count: (question: Question, status: number) => void = () => undefined) {
    this.#connection = connection
    this.#count = count
  }

  get server(): string {
    return this.#connection.server
  }

  /** Calls back whenever there is a connection again; what is returned ends that. */
  onConnected(listener: () => void): () => void {
    return this.#connection.onConnected(listener)
  }

  async get(resource: ApiResource, place: ObjectPlace, signal: AbortSignal): Promise<unknown> {
    return this.#json({ method: 'GET', path: pathOf(resource, place) }, signal)
  }

  /** The pages of a list, all of one state. */
  async *list(
    resource: ApiResource,
    query: Query,
    { signal, extent = 'whole' }: { readonly signal: AbortSignal; readonly extent?: Extent },
  ): AsyncGenerator<Page> {
    const accept = acceptOf(extent, 'PartialObjectMetadataList')
    let next: string | undefined
    do {
      // The version and how it is to be matched belong to the first page; the token has them.
      const { resourceVersion, resourceVersionMatch, ...rest } = query
      const first = next === undefined ? { resourceVersion, resourceVersionMatch } : {}
      const path = `${pathOf(resource)}${queryText({ limit: PAGE, ...rest, ...first, continue: next })}`
      const { metadata, items } = asList(await this.#json({ method: 'GET', path, accept }, signal))
      next = metadata.continue === '' ? undefined : metadata.continue
      yield { items, resourceVersion: metadata.resourceVersion ?? '' }
    } while (next !== undefined)
  }

  /** Events as they come, until the server or the signal ends it. `heard` is called when it begins and whenever bytes have come. */
  async *watch(
    resource: ApiResource,
    query: Query,
    {
      signal,
      heard,
      extent = 'whole',
    }: { readonly signal: AbortSignal; readonly heard: (bytes: number) => void; readonly extent?: Extent },
  ): AsyncGenerator<WatchEvent> {
    const path = `${pathOf(resource)}${queryText({ ...query, watch: true })}`
    const question: Question = { method: 'GET', path, accept: acceptOf(extent, 'PartialObjectMetadata') }
    const { body } = await this.#answer(question, signal)
    heard(0)
    for await (const line of linesOf(body, heard)) {
      const event = asEvent(parse(line, question))
      if (event.type === 'ERROR')
        throw new ApiError(nameOf(question), statusOf(event.object), JSON.stringify(event.object))
      yield event
    }
    signal.throwIfAborted()
  }

  create(
    resource: ApiResource,
    place: Pick<ObjectPlace, 'namespace'>,
    object: object,
    signal: AbortSignal,
  ): Promise<unknown> {
    const whole = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object }
    return this.#json({ method: 'POST', path: pathOf(resource, place), body: JSON.stringify(whole) }, signal)
  }

  /** The object must bear the resource version that it was read with. */
  replace(resource: ApiResource, place: ObjectPlace, object: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#json({ method: 'PUT', path: pathOf(resource, place), body: JSON.stringify(object) }, signal)
  }

  patch(
    resource: ApiResource,
    { type = 'merge', patch, ...place }: PatchOptions,
    signal: AbortSignal,
  ): Promise<unknown> {
    const contentType = PATCH_TYPES[type]
    return this.#json(
      { method: 'PATCH', path: pathOf(resource, place), body: JSON.stringify(patch), contentType },
      signal,
    )
  }

  /** What is not there is deleted. With a uid only the object that has it; another is a conflict. */
  async delete(
    resource: ApiResource,
    { uid, ...place }: ObjectPlace & { readonly uid?: string },
    signal: AbortSignal,
  ): Promise<void> {
    const only = uid !== undefined && { body: JSON.stringify({ preconditions: { uid } }) }
    try {
      await this.#json({ method: 'DELETE', path: pathOf(resource, place), ...only }, signal)
    } catch (error) {
      if (!(error instanceof ApiError && error.missing)) throw error
    }
  }

  async #json(question: Question, signal: AbortSignal): Promise<unknown> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
    try {
      const { body } = await this.#answer(question, limit)
      return parse(await textOf(body), question)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof CausewayError) throw error
      throw new ApiUnreachable(`${nameOf(question)}: ${limit.aborted ? 'no answer in time' : messageOf(error)}`, {
        cause: error,
      })
    }
  }

  async #answer(question: Question, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#connection.ask(question, signal)
    this.#count(question, answer.status)
    if (answer.status < 400) return answer
    throw new ApiError(nameOf(question), answer.status, await textOf(answer.body), answer.headers['retry-after'])
  }
}

/** Kubernetes API concepts, "Metadata-only fetches"; a server without them sends whole objects. */
function acceptOf(extent: Extent, as: string): string {
  return extent === 'whole' ? 'application/json' : `application/json;as=${as};g=meta.k8s.io;v=v1,application/json`
}

/** Without the query, which may be long. */
function nameOf({ method, path }: Question): string {
  return `${method} ${path.split('?')[0]}`
}

function queryText(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value))
  return `?${parameters.toString()}`
}

async function textOf(body: ClientHttp2Stream): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function parse(text: string, question: Question): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ApiUnreachable(`${nameOf(question)}: the answer is no JSON: ${text.slice(0, 100)}`, { cause })
  }
}

function asList(answer: unknown): {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items: readonly unknown[]
} {
  const { metadata, items } = Object(answer) as Readonly<Record<string, unknown>>
  if (typeof metadata !== 'object' || metadata === null || (items !== null && !Array.isArray(items)))
    throw new ApiUnreachable('the answer is no list')
  return { metadata, items: (items as readonly unknown[] | null) ?? [] }
}

function asEvent(line: unknown): WatchEvent {
  const { type, object } = Object(line) as Readonly<Record<string, unknown>>
  return { type: typeof type === 'string' ? type : '', object }
}

function statusOf(object: unknown): number {
  const { code } = Object(object) as { readonly code?: unknown }
  return typeof code === 'number' ? code : 500
}
