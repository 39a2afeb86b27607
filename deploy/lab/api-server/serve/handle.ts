/** One request from its first byte to its answer: who is it, may they, what goes wrong, what do they get. */
import { mayPath, mayResource, refusal } from '../access/rbac.ts'
import { impersonated, type User } from '../access/users.ts'
import { type Answer, type Call, jsonAnswer, subjectOf, targetOf } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { answerControl, type Control } from '../faults/control.ts'
import type { Target } from '../faults/fault.ts'
import { discover, VERSION } from '../read/discovery.ts'
import { get } from '../read/get.ts'
import { list } from '../read/list.ts'
import { openApi } from '../read/openapi.ts'
import { Watch } from '../read/watch.ts'
import {
  ApiError,
  badRequest,
  forbidden,
  methodNotAllowed,
  noSuchPath,
  tooManyRequests,
  unauthorized,
} from '../status.ts'
import { create } from '../write/create.ts'
import { deleteCollection, deleteOne } from '../write/delete.ts'
import { patch } from '../write/patch.ts'
import { getScale } from '../write/scale.ts'
import { checkSubresource, update } from '../write/update.ts'
import type { Incoming, Outgoing } from './listener.ts'
import { routeOf } from './route.ts'
import { send, type SendFaults, watchSink } from './send.ts'

/** kube-apiserver's own limit for a body (k8s.io/apiserver pkg/server/config.go MaxRequestBodyBytes). */
const MAX_BODY_BYTES = 3 * 1024 * 1024

interface Arrived {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly accept: string
  readonly user: User
}

/** Answers a request. Whatever fails becomes a Status; it never throws. */
export async function handle(cluster: Cluster, control: Control, request: Incoming, response: Outgoing): Promise<void> {
  response.on('error', () => {})
  const sendNow = (answer: Answer): Promise<void> => send(cluster.counters, response, answer, NO_FAULTS)
  try {
    const arrived = arrive(cluster, request)
    const body = await readAll(request)
    const controlled = answerControl(control, arrived.user, arrived.method, arrived.path, body)
    if (controlled !== undefined) return await sendNow(controlled)
    const call = callOf(cluster, arrived, request, body)
    if (call === undefined) await answerPath(cluster, arrived, response)
    else await answerCall(cluster, call, request, response)
  } catch (error) {
    if (response.headersSent) return
    await sendNow(failure(error))
  }
}

const NO_FAULTS: SendFaults = { cut: false, delayMs: 0, bytesPerSecond: 0 }

function arrive(cluster: Cluster, request: Incoming): Arrived {
  const url = new URL(request.url ?? '/', 'https://server')
  const user = actAs(cluster, cluster.users.identify(request.headers.authorization), request)
  if (user === undefined) {
    cluster.counters.request(url.pathname, '')
    throw unauthorized()
  }
  const accept = request.headers.accept ?? ''
  return { method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, accept, user }
}

/** Who may, can speak as somebody else (`kubectl --as`). */
function actAs(cluster: Cluster, user: User | undefined, { headers }: Incoming): User | undefined {
  const name = headers['impersonate-user']
  if (user === undefined || typeof name !== 'string') return user
  const groups = [headers['impersonate-group'] ?? []].flat()
  for (const [plural, each] of [['users', name], ...groups.map(group => ['groups', group] as const)] as const) {
    const wants = { verb: 'impersonate', group: '', resource: plural, subresource: '', namespace: '', name: each }
    if (!mayResource(cluster, user, wants)) throw forbidden({ group: '', plural }, each, refusal(user, wants))
  }
  return impersonated(name, groups)
}

async function readAll(request: Incoming): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  // To destroy the request would end the connection, and nobody would hear why.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes = chunk as Buffer
    length += bytes.length
    if (length > MAX_BODY_BYTES) break
    chunks.push(bytes)
  }
  if (length > MAX_BODY_BYTES) {
    request.resume() // the rest goes nowhere
    throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`)
  }
  return Buffer.concat(chunks)
}

/** Undefined for what is no resource. */
function callOf(cluster: Cluster, arrived: Arrived, request: Incoming, body: Buffer): Call | undefined {
  const { query, user, accept } = arrived
  const route = routeOf(arrived.method, arrived.path, query)
  if (route === undefined) return undefined
  const target = targetOf({ route, user })
  cluster.counters.request(`${route.verb} ${subjectOf(target)}`, user.name)
  const wants = { ...route, resource: route.plural }
  if (!mayResource(cluster, user, wants)) throw forbidden(route, route.name, refusal(user, wants))
  const resource = cluster.registry.find(route.group, route.version, route.plural)
  if (resource === undefined || (route.namespace !== '' && !resource.namespaced && route.plural !== 'namespaces'))
    throw noSuchPath()
  if (resource.namespaced && route.namespace === '' && (route.name !== '' || route.verb === 'create'))
    throw noSuchPath()
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const stale = ['get', 'list'].includes(route.verb) ? cluster.faults.take('stale', target) : undefined
  const userAgent = request.headers['user-agent'] ?? ''
  return { route, resource, query, user, accept, contentType, userAgent, body, stale }
}

async function answerCall(cluster: Cluster, call: Call, request: Incoming, response: Outgoing): Promise<void> {
  const target = targetOf(call)
  if (cluster.faults.take('hang', target) !== undefined) return
  const faulty = faultyAnswer(cluster, target)
  const faults = faulty === undefined && call.route.verb === 'watch' ? NO_FAULTS : sendFaults(cluster, target)
  if (faulty !== undefined) return await send(cluster.counters, response, faulty, faults)
  if (call.route.verb === 'watch') return openWatch(cluster, call, request, response)
  await send(cluster.counters, response, answerOr(cluster, call), faults)
}

/** A refusal goes the same way as an answer, so that the same faults meet it. */
function answerOr(cluster: Cluster, call: Call): Answer {
  try {
    return answerOf(cluster, call)
  } catch (error) {
    return failure(error)
  }
}

function answerOf(cluster: Cluster, call: Call): Answer {
  const { route, resource } = call
  if (resource.virtual && route.verb !== 'create') throw methodNotAllowed()
  switch (route.verb) {
    case 'get':
      checkSubresource(call)
      return route.subresource === 'scale' ? getScale(cluster, call) : get(cluster, call)
    case 'list':
      return list(cluster, call)
    case 'create':
      return create(cluster, call)
    case 'update':
      return update(cluster, call)
    case 'patch':
      return patch(cluster, call)
    case 'delete':
      return deleteOne(cluster, call)
    case 'deletecollection':
      return deleteCollection(cluster, call)
    case 'watch':
      throw badRequest('a watch is not answered at once')
  }
}

function openWatch(cluster: Cluster, call: Call, request: Incoming, response: Outgoing): void {
  if (call.resource.virtual) throw methodNotAllowed()
  const delay = cluster.faults.take('slow', targetOf(call))?.delayMs ?? 0
  const watch = new Watch(cluster, call, () => watchSink(response))
  cluster.counters.answer(200)
  response.on('close', () => watch.close())
  request.on('aborted', () => watch.close())
  if (delay === 0) watch.start()
  else setTimeout(() => watch.start(), delay)
}

/** An answer that a fault puts in the place of the real one. */
function faultyAnswer({ faults }: Cluster, target: Target): Answer | undefined {
  const limited = faults.take('too-many-requests', target)
  if (limited !== undefined) return failure(tooManyRequests(limited.retryAfterSeconds ?? 1))
  const broken = faults.take('error', target)
  if (broken !== undefined) return failure(brokenBy(broken.code ?? 500))
  if (target.verb === 'watch' || faults.take('garbage', target) === undefined) return undefined
  return { code: 200, body: [Buffer.from('<html><body>{"kind":"Stat')] }
}

function brokenBy(code: number): ApiError {
  if (code === 503)
    return new ApiError(503, 'ServiceUnavailable', 'the server is currently unable to handle the request')
  return new ApiError(code, code === 500 ? 'InternalError' : 'Unknown', 'Internal error occurred: a fault was set')
}

function sendFaults({ faults }: Cluster, target: Target): SendFaults {
  const slow = faults.take('slow', target)
  return {
    cut: faults.take('cut', target) !== undefined,
    delayMs: slow?.delayMs ?? 0,
    bytesPerSecond: slow?.bytesPerSecond ?? 0,
  }
}

/** Discovery, schemas, health and version. */
async function answerPath(cluster: Cluster, arrived: Arrived, response: Outgoing): Promise<void> {
  const { method, path, user, accept } = arrived
  const verb = method.toLowerCase()
  cluster.counters.request(path, user.name)
  if (!mayPath(cluster, user, verb, path)) {
    const why = `User "${user.name}" cannot ${verb} path "${path}"`
    throw forbidden({ group: '', plural: '' }, '', why)
  }
  const target: Target = { resource: path, subresource: '', verb: 'get', user: user.name }
  if (cluster.faults.take('hang', target) !== undefined) return
  const answer = faultyAnswer(cluster, target) ?? pathAnswer(cluster, path, accept)
  await send(cluster.counters, response, answer, sendFaults(cluster, target))
}

const HEALTH = ['/healthz', '/livez', '/readyz']

function pathAnswer(cluster: Cluster, path: string, accept: string): Answer {
  if (HEALTH.includes(path)) return { code: 200, type: 'text/plain; charset=utf-8', body: [Buffer.from('ok')] }
  if (path === '/version' || path === '/version/') return jsonAnswer(200, VERSION)
  const schema = openApi(cluster.registry, path)
  if (schema !== undefined) return jsonAnswer(200, schema)
  const found = discover(cluster.registry, path, accept)
  if (found === undefined) throw noSuchPath()
  return { ...jsonAnswer(200, found.body), type: found.type }
}

function failure(error: unknown): Answer {
  if (!(error instanceof ApiError)) {
    const message = `Internal error occurred: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
    return failure(new ApiError(500, 'InternalError', message))
  }
  const { retryAfterSeconds } = error
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': `${retryAfterSeconds}` }
  return jsonAnswer(error.code, error, headers)
}
