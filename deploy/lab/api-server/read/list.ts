/**
 * Lists, whole or in pages, of the newest state or of an older one, as the parameters `resourceVersion`,
 * `resourceVersionMatch`, `limit` and `continue` ask.
 */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { apiVersionOf, listKindOf, type Resource } from '../kinds/resource.ts'
import type { Collection, Stored } from '../objects/collection.ts'
import type { JsonObject } from '../objects/json.ts'
import { badRequest, expired, tooLargeResourceVersion } from '../status.ts'
import { type ListOptions, readListOptions, revisionOf } from './options.ts'
import { formOf, listedObject, partialObject } from './represent.ts'
import { tableOf } from './table.ts'

const EXPIRED = 'The resourceVersion for the provided list is too old.'
const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

/** From where a page goes on: `start` is a key, `revision` that of the first page, or -1 for the newest. */
interface Token {
  readonly revision: number
  readonly start: string
}

interface Page {
  readonly items: readonly Stored[]
  readonly metadata: JsonObject
}

/** GET of a collection. @throws ApiError 400, 410, 422 or 504 for what the options ask */
export function list(cluster: Cluster, call: Call): Answer {
  const options = readListOptions(call)
  const page = readPage(cluster, call, options)
  return { code: 200, body: serialise(cluster, call, page) }
}

/** What a request for a collection selects, as far as its page goes. */
export function readPage({ store }: Cluster, call: Call, options: ListOptions): Page {
  const collection = store.collection(call.resource)
  const token = options.continue === '' ? undefined : decode(options.continue)
  if (token !== undefined && !['', '0'].includes(options.resourceVersion))
    throw badRequest('specifying resource version is not allowed when using continue')
  const revision = call.stale?.revision ?? revisionToRead(store.revision, collection, options, token)
  const prefix = call.route.namespace === '' || !call.resource.namespaced ? '' : `${call.route.namespace}/`
  const { limit, selects } = options
  const items: Stored[] = []
  let more = 0
  for (const stored of collection.at(revision, prefix, token?.start ?? '')) {
    if (selects !== undefined && !selects(stored)) continue
    if (limit === 0 || items.length < limit) items.push(stored)
    else if (more++ === 0 && selects !== undefined) break
  }
  const last = items.at(-1)
  const following = more === 0 || last === undefined ? undefined : encode({ revision, start: `${last.key}\0` })
  return {
    items,
    metadata: {
      resourceVersion: `${revision}`,
      continue: following,
      remainingItemCount: following === undefined || selects !== undefined ? undefined : more,
    },
  }
}

function revisionToRead(
  current: number,
  collection: Collection,
  { resourceVersion, match, limit }: ListOptions,
  token: Token | undefined,
): number {
  if (token !== undefined) {
    if (token.revision < 0) return current
    if (token.revision >= collection.oldest) return token.revision
    throw expired(CONTINUE_EXPIRED, { continue: encode({ ...token, revision: -1 }) })
  }
  if (resourceVersion === '' || resourceVersion === '0') return current
  const asked = revisionOf(resourceVersion)
  if (asked > current) throw tooLargeResourceVersion(asked, current)
  const exact = match === 'Exact' || (match === '' && limit > 0)
  if (!exact) return current
  if (asked < collection.oldest) throw expired(EXPIRED)
  return asked
}

function serialise(cluster: Cluster, { resource, accept }: Call, page: Page): Buffer[] {
  const { form, version } = formOf(accept)
  if (form === 'Table') {
    const table = tableOf(resource, page.items, { version, metadata: page.metadata, now: cluster.now() })
    return [Buffer.from(JSON.stringify(table))]
  }
  if (form === 'PartialObjectMetadata') {
    const head = headOf('PartialObjectMetadataList', `meta.k8s.io/${version}`, page.metadata)
    return joined(head, page.items, stored => partialObject(stored, version))
  }
  return joined(listHead(resource, page.metadata), page.items, stored => listedObject(resource, stored))
}

function listHead(resource: Resource, metadata: JsonObject): Buffer {
  return headOf(listKindOf(resource), apiVersionOf(resource), metadata)
}

function headOf(kind: string, apiVersion: string, metadata: JsonObject): Buffer {
  return Buffer.from(`{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[`)
}

const COMMA = Buffer.from(',')
const END = Buffer.from(']}\n')

function joined(head: Buffer, items: readonly Stored[], bodyOf: (stored: Stored) => Buffer): Buffer[] {
  const parts = [head]
  for (const [i, stored] of items.entries()) {
    if (i > 0) parts.push(COMMA)
    parts.push(bodyOf(stored))
  }
  parts.push(END)
  return parts
}

/** In the form of k8s.io/apiserver pkg/storage/continue.go. */
function encode({ revision, start }: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url')
}

function decode(text: string): Token {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (typeof value === 'object' && value !== null && 'rv' in value && 'start' in value) {
      const { rv, start } = value
      if (typeof rv === 'number' && typeof start === 'string' && rv !== 0 && start !== '')
        return { revision: rv, start }
    }
  } catch (error) {
    throw badRequest(`continue key is not valid: ${error instanceof Error ? error.message : String(error)}`)
  }
  throw badRequest('continue key is not valid')
}
