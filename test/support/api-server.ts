/** An API server for a test, with clients for it, and questions tests ask of what it answers. */
import { ApiClient, type Response, type WatchEvent } from '../../deploy/lab/api-server/client.ts'
import { asText, type Json, listAt, textAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../deploy/lab/api-server/server.ts'

export interface TestApi extends AsyncDisposable {
  readonly server: ApiServer
  /** Speaks as the administrator. */
  readonly admin: ApiClient
  /** A client with another token; it ends with the server. */
  client(token: string): ApiClient
}

export async function startTestApi(options: ApiServerOptions = {}): Promise<TestApi> {
  await using undo = new AsyncDisposableStack()
  const server = undo.use(await startApiServer(options))
  const client = (token: string): ApiClient => clients.use(new ApiClient({ url: server.url, ca: server.ca, token }))
  const clients = undo.use(new AsyncDisposableStack())
  const admin = client(server.adminToken)
  const kept = undo.move()
  return { server, admin, client, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** `kind: message` of a Status, to compare with what Kubernetes says. */
export function refusalOf({ status, json }: Response): string {
  return `${status} ${textAt(json, 'reason')}: ${textAt(json, 'message')}`
}

/** Names of what a list holds. */
export function namesIn({ json }: Response): string[] {
  return listAt(json, 'items').map(nameOf)
}

export function nameOf(object: Json): string {
  return textAt(object, 'metadata', 'name')
}

export function versionOf(object: Json): string {
  return textAt(object, 'metadata', 'resourceVersion')
}

/** One line an event: its type, the object's name and what stands at a path. */
export function eventText({ type, object }: WatchEvent, ...path: readonly string[]): string {
  const value = path.length === 0 ? '' : ` ${asText(valueAt(object, ...path))}`
  return `${type} ${nameOf(object)}${value}`
}

/** The next events of a watch. */
export async function take(watch: AsyncGenerator<WatchEvent>, count: number): Promise<WatchEvent[]> {
  const events: WatchEvent[] = []
  while (events.length < count) {
    const next = await watch.next()
    if (next.done === true) throw new Error(`the watch ended after ${events.length} events`)
    events.push(next.value)
  }
  return events
}

export function node(name: string, more: object = {}): object {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, ...more }
}

export function configMap(name: string, data: Record<string, string> = {}, metadata: object = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}
