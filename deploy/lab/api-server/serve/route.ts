/** What a request asks, from its method and its path (kubernetes API concepts, k8s.io/apiserver pkg/endpoints/request). */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

export interface ResourceRoute {
  readonly verb: Verb
  readonly group: string
  readonly version: string
  /** Empty at the scope of the cluster. */
  readonly namespace: string
  readonly plural: string
  /** Empty for a collection. */
  readonly name: string
  /** Empty for the resource itself. */
  readonly subresource: string
}

const WRITES: Readonly<Record<string, Verb>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

/** Undefined when the path is not that of a resource, such as that of discovery. */
export function routeOf(method: string, path: string, query: URLSearchParams): ResourceRoute | undefined {
  const parts = path
    .split('/')
    .filter(part => part !== '')
    .map(decode)
  const [group, version, ...rest] = parts[0] === 'api' ? ['', ...parts.slice(1)] : parts.slice(1)
  if ((parts[0] !== 'api' && parts[0] !== 'apis') || group === undefined || version === undefined || rest.length === 0)
    return undefined
  const place = placeOf(rest)
  if (place === undefined) return undefined
  const verb = verbOf(method, place.name, query)
  return verb === undefined ? undefined : { group, version, verb, ...place }
}

type Place = Pick<ResourceRoute, 'namespace' | 'plural' | 'name' | 'subresource'>

/** Subresources of a namespace itself; any other word there is a resource in it. */
const OF_NAMESPACES = ['status', 'finalize']

function placeOf(rest: readonly string[]): Place | undefined {
  const [first = '', second = '', third = '', fourth = '', fifth = ''] = rest
  const inNamespace = first === 'namespaces' && third !== '' && !(rest.length === 3 && OF_NAMESPACES.includes(third))
  if (rest.length > (inNamespace ? 5 : 3)) return undefined
  return inNamespace
    ? { namespace: second, plural: third, name: fourth, subresource: fifth }
    : { namespace: first === 'namespaces' ? second : '', plural: first, name: second, subresource: third }
}

function verbOf(method: string, name: string, query: URLSearchParams): Verb | undefined {
  if (method === 'DELETE' && name === '') return 'deletecollection'
  if (method !== 'GET' && method !== 'HEAD') return WRITES[method]
  if (isTrue(query.get('watch'))) return 'watch'
  return name === '' ? 'list' : 'get'
}

/** As Go reads a boolean of a query: present without a value counts. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0'
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
