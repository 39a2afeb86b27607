/**
 * All objects, by resource, with one count of revisions for all of them, as etcd has. Objects go in as trees and rest
 * as JSON texts, so that a list or a watch copies bytes and ten thousand objects are cheap to hold.
 */
import { type Change, Collection, type Stored } from './collection.ts'
import { equal, type Json, type JsonObject, textAt } from './json.ts'
import type { KubeObject } from './kube-object.ts'

/** What the store needs to know of a resource. */
export interface StoredResource {
  readonly group: string
  readonly plural: string
  readonly namespaced: boolean
  /** Field paths besides name and namespace that a field selector may name. */
  readonly fields: readonly string[]
}

export interface StoreOptions {
  /** Changes that each resource remembers at least; older ones are given up when there are a quarter more. */
  readonly historyLimit?: number
}

export class Store {
  #revision = 1
  #forgotten = 0
  readonly #collections = new Map<string, Collection>()
  readonly #historyLimit: number
  readonly #listeners = new Set<(resource: string, change: Change) => void>()

  constructor({ historyLimit = 20_000 }: StoreOptions = {}) {
    this.#historyLimit = historyLimit
  }

  /** That of the newest change of any resource. */
  get revision(): number {
    return this.#revision
  }

  collection(resource: Pick<StoredResource, 'group' | 'plural'>): Collection {
    const id = resourceId(resource)
    const known = this.#collections.get(id)
    if (known !== undefined) return known
    const made = new Collection(this.#historyLimit, this.#forgotten)
    made.listen(change => {
      for (const listener of this.#listeners) listener(id, change)
    })
    this.#collections.set(id, made)
    return made
  }

  get(resource: StoredResource, namespace: string, name: string): Stored | undefined {
    return this.collection(resource).get(keyOf(resource, namespace, name))
  }

  /**
   * Writes an object, whose metadata gets its new resourceVersion; one that would be as it was is not written, and
   * keeps its version.
   */
  put(resource: StoredResource, object: KubeObject): Stored {
    const collection = this.collection(resource)
    const key = keyOf(resource, object.metadata.namespace ?? '', object.metadata.name ?? '')
    const before = collection.get(key)
    if (before !== undefined) {
      object.metadata.resourceVersion = `${before.revision}`
      if (isSame(serialise(object), before.body)) return before
    }
    const after = atRest(resource, object, ++this.#revision)
    collection.apply({ revision: after.revision, key, before, after })
    return after
  }

  remove(resource: StoredResource, stored: Stored): void {
    const change = { revision: ++this.#revision, key: stored.key, before: stored, after: undefined }
    this.collection(resource).apply(change)
  }

  /** Fills in many objects at once; see `Collection.load`. */
  load(resource: StoredResource, objects: Iterable<KubeObject>): void {
    const stored: Stored[] = []
    for (const object of objects) stored.push(atRest(resource, object, ++this.#revision))
    this.collection(resource).load(stored, this.#revision)
  }

  /** Fills in objects with the versions they have. */
  restore(resource: StoredResource, objects: readonly KubeObject[]): void {
    const stored = objects.map(object => atRest(resource, object, Number(object.metadata.resourceVersion ?? '1')))
    this.collection(resource).load(stored, 0)
  }

  /** Goes on from a revision, of whose past nothing is known. */
  forgetUntil(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
    this.forget()
  }

  /** Compaction: whoever comes with an older version, be it a watch or a page, hears 410. */
  forget(): void {
    this.#forgotten = this.#revision
    for (const collection of this.#collections.values()) collection.forget(this.#revision)
  }

  /** Gives up a resource whose definition has gone, with all its objects. */
  drop(resource: StoredResource): void {
    const collection = this.collection(resource)
    const all = Array.from(collection.at(this.#revision))
    for (const stored of all) this.remove(resource, stored)
  }

  /** Hears every change; `resource` is a `resourceId`. */
  listen(listener: (resource: string, change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export function resourceId({ group, plural }: Pick<StoredResource, 'group' | 'plural'>): string {
  return `${group}/${plural}`
}

export function keyOf(resource: Pick<StoredResource, 'namespaced'>, namespace: string, name: string): string {
  return resource.namespaced ? `${namespace}/${name}` : name
}

/** The object as a tree of its own, without `kind` and `apiVersion`. */
export function treeOf(stored: Stored): KubeObject {
  // The text is one that `atRest` wrote.
  return JSON.parse(stored.body.toString()) as KubeObject
}

/** The object as a watch tells its end: as it last was, with the revision at which it went. */
export function bodyAt(stored: Stored, revision: number): Buffer {
  const object = treeOf(stored)
  object.metadata.resourceVersion = `${revision}`
  return serialise(object)
}

/** Whether two texts say the same: members may stand in another order, which leaves the length as it is. */
function isSame(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false
  return a.equals(b) || equal(JSON.parse(a.toString()) as Json, JSON.parse(b.toString()) as Json)
}

function atRest(resource: StoredResource, object: KubeObject, revision: number): Stored {
  const { metadata } = object
  metadata.resourceVersion = `${revision}`
  const namespace = resource.namespaced ? (metadata.namespace ?? '') : ''
  const name = metadata.name ?? ''
  return {
    key: keyOf(resource, namespace, name),
    namespace,
    name,
    uid: metadata.uid ?? '',
    revision,
    labels: metadata.labels ?? {},
    fields: Object.fromEntries(resource.fields.map(field => [field, fieldText(object, field)])),
    body: serialise(object),
  }
}

function fieldText(object: KubeObject, field: string): string {
  let at: Json | undefined = object
  for (const name of field.split('.')) at = at === undefined ? undefined : (at as JsonObject)[name]
  return typeof at === 'boolean' || typeof at === 'number' ? `${at}` : textAt({ at }, 'at')
}

function serialise(object: KubeObject): Buffer {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object
  return Buffer.from(JSON.stringify({ metadata, ...rest }))
}
