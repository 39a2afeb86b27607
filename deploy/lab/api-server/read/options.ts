/** The options of lists and watches: what may stand together (k8s.io/apimachinery pkg/apis/meta/internalversion/validation). */
import { selection, type Selects } from '../objects/selectors.ts'
import { isTrue } from '../serve/route.ts'
import { badRequest, type Cause, invalid } from '../status.ts'
import type { Call } from '../call.ts'
import { cause } from '../kinds/validate.ts'

export interface ListOptions {
  readonly selects: Selects
  /** Empty when it is not given. */
  readonly resourceVersion: string
  readonly match: string
  /** 0 is without limit. */
  readonly limit: number
  readonly continue: string
  readonly bookmarks: boolean
  readonly sendInitialEvents: boolean | undefined
  /** 0 when it is not given. */
  readonly timeoutSeconds: number
}

const MATCHES = ['Exact', 'NotOlderThan']

/** Reads the query of a list or a watch. @throws ApiError 400 or 422 when it cannot be read or does not fit together */
export function readListOptions({ query, resource, route }: Call): ListOptions {
  const text = (name: string): string => query.get(name) ?? ''
  const initial = query.get('sendInitialEvents')
  const fields = [text('fieldSelector'), ...(route.name === '' ? [] : [`metadata.name=${route.name}`])]
  const options: ListOptions = {
    selects: selection(text('labelSelector'), fields.filter(f => f !== '').join(','), resource.fields),
    resourceVersion: text('resourceVersion'),
    match: text('resourceVersionMatch'),
    limit: count(query, 'limit'),
    continue: text('continue'),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: initial === null || initial === '' ? undefined : isTrue(initial),
    timeoutSeconds: count(query, 'timeoutSeconds'),
  }
  const causes = route.verb === 'watch' ? checkWatch(options) : checkList(options)
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', causes)
  return options
}

/** A resource version as a number. @throws ApiError 400 */
export function revisionOf(resourceVersion: string): number {
  if (!/^\d+$/.test(resourceVersion))
    throw badRequest(
      `resourceVersion: Invalid value: "${resourceVersion}": strconv.ParseUint: parsing "${resourceVersion}": invalid syntax`,
    )
  return Number(resourceVersion)
}

function count(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? ''
  if (text === '') return 0
  if (!/^\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`)
  return Number(text)
}

function no(field: string, why: string): Cause {
  return cause('Forbidden', field, `Forbidden: ${why}`)
}

function unsupported(match: string, supported: readonly string[]): Cause {
  const values = supported.map(value => `"${value}"`).join(', ')
  return cause('NotSupported', MATCH, `Unsupported value: "${match}": supported values: ${values}`)
}

const MATCH = 'resourceVersionMatch'

function checkList({ match, resourceVersion, continue: token, sendInitialEvents }: ListOptions): Cause[] {
  const causes: Cause[] = []
  if (match !== '') {
    if (resourceVersion === '') causes.push(no(MATCH, `${MATCH} is forbidden unless resourceVersion is provided`))
    if (token !== '') causes.push(no(MATCH, `${MATCH} is forbidden when continue is provided`))
    if (!MATCHES.includes(match)) causes.push(unsupported(match, [...MATCHES, '']))
    if (match === 'Exact' && resourceVersion === '0')
      causes.push(no(MATCH, `${MATCH} "exact" is forbidden for resourceVersion "0"`))
  }
  if (sendInitialEvents !== undefined) causes.push(no('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  return causes
}

function checkWatch({ match, continue: token, sendInitialEvents }: ListOptions): Cause[] {
  const causes: Cause[] = []
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan')
    causes.push(no(MATCH, `sendInitialEvents requires setting ${MATCH} to NotOlderThan`))
  if (match === '') return causes
  if (sendInitialEvents === undefined)
    causes.push(no(MATCH, `${MATCH} is forbidden for watch unless sendInitialEvents is provided`))
  if (match !== 'NotOlderThan') causes.push(unsupported(match, ['NotOlderThan']))
  if (token !== '') causes.push(no(MATCH, `${MATCH} is forbidden when continue is provided`))
  return causes
}
