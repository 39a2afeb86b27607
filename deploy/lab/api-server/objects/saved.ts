/** All objects as one text, so that a server that starts again has them: what etcd is to a real one. */
import type { Registry } from '../kinds/registry.ts'
import type { Json } from './json.ts'
import { isObject } from './json.ts'
import { asKubeObject, type KubeObject } from './kube-object.ts'
import { resourceId, type Store } from './store.ts'

const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions'

/** One line with the revision, then one an object: `group/plural`, a space, its JSON. */
export function saveObjects(store: Store, registry: Registry): string {
  const ids = new Set(
    registry
      .all()
      .filter(resource => !resource.virtual)
      .map(resourceId),
  )
  const lines = [...ids].flatMap(id => {
    const [group = '', plural = ''] = id.split('/')
    return Array.from(
      store.collection({ group, plural }).at(store.revision),
      stored => `${id} ${stored.body.toString()}`,
    )
  })
  return `${[store.revision, ...lines].join('\n')}\n`
}

/** Puts such a text into an empty store; definitions come first, since they say what the rest is. */
export function restoreObjects(store: Store, registry: Registry, text: string): void {
  const [revision = '1', ...lines] = text.split('\n').filter(line => line !== '')
  const byId = Map.groupBy(lines, line => line.slice(0, line.indexOf(' ')))
  const definitions = (byId.get(DEFINITIONS) ?? []).map(readLine)
  for (const definition of definitions) registry.define(definition)
  for (const [id, own] of byId) {
    const resource = registry.all().find(each => resourceId(each) === id)
    if (resource !== undefined) store.restore(resource, own.map(readLine))
  }
  store.forgetUntil(Number(revision))
}

function readLine(line: string): KubeObject {
  const value = JSON.parse(line.slice(line.indexOf(' ') + 1)) as Json
  const object = isObject(value) ? asKubeObject(value) : undefined
  if (object === undefined) throw new Error(`this is no saved object: ${line.slice(0, 80)}`)
  return object
}
