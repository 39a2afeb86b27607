/**
 * What kube-controller-manager does after a deletion: what the object owned goes too, or is let go of, and a namespace
 * ends when it is empty. It runs a moment after the change that gave rise to it, as it does in a real cluster.
 */
import type { Cluster } from '../cluster.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Change, Stored } from '../objects/collection.ts'
import { objectAt } from '../objects/json.ts'
import { resourceId, treeOf } from '../objects/store.ts'
import { deleteStored } from './delete.ts'
import { remove } from './remove.ts'

const BACKGROUND = { propagation: 'Background', graceSeconds: undefined } as const

/** Collects garbage until the answer is called. */
export function collectGarbage(cluster: Cluster): () => void {
  const collector = new Collector(cluster)
  return cluster.store.listen((resource, change) => collector.note(resource, change))
}

interface Dependent {
  readonly resource: Resource
  readonly stored: Stored
}

class Collector {
  readonly #cluster: Cluster
  /** Keys of objects by the uid of an owner. */
  readonly #owned = new Map<string, Set<string>>()
  readonly #ownersOf = new Map<string, readonly string[]>()
  /** Owners, by uid, that go when the last of what they own has gone. */
  readonly #waiting = new Map<string, { id: string; key: string }>()
  #queue: (() => void)[] = []

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    const { registry, store } = cluster
    for (const resource of registry.all())
      for (const stored of store.collection(resource).at(store.revision)) {
        this.#setOwners(`${resourceId(resource)} ${stored.key}`, ownersIn(stored))
        // What a server before this one had begun with is gone on with.
        if (isEnding(stored)) this.#later(() => this.#finalize(resourceId(resource), stored.key))
      }
  }

  note(id: string, change: Change): void {
    const key = `${id} ${change.key}`
    const owners = this.#ownersOf.get(key) ?? []
    this.#setOwners(key, change.after === undefined ? [] : ownersIn(change.after))
    const { after, before } = change
    if (after === undefined) {
      for (const uid of owners) this.#later(() => this.#ownedHasGone(uid))
      if (before !== undefined && this.#owned.has(before.uid)) this.#later(() => this.#deleteOwned(before.uid))
      if (before !== undefined && before.namespace !== '') this.#later(() => this.#endNamespace(before.namespace))
    } else if (isEnding(after)) this.#later(() => this.#finalize(id, change.key))
  }

  #setOwners(key: string, owners: readonly string[]): void {
    for (const uid of this.#ownersOf.get(key) ?? []) this.#owned.get(uid)?.delete(key)
    if (owners.length === 0) this.#ownersOf.delete(key)
    else this.#ownersOf.set(key, owners)
    for (const uid of owners) {
      const keys = this.#owned.get(uid) ?? new Set<string>()
      this.#owned.set(uid, keys.add(key))
    }
  }

  #later(action: () => void): void {
    this.#queue.push(action)
    if (this.#queue.length > 1) return
    setImmediate(() => {
      const queue = this.#queue
      this.#queue = []
      for (const each of queue) each()
    })
  }

  #ownedBy(uid: string): Dependent[] {
    return [...(this.#owned.get(uid) ?? [])].flatMap(key => {
      const found = this.#find(key)
      return found === undefined ? [] : [found]
    })
  }

  #find(key: string): Dependent | undefined {
    const space = key.indexOf(' ')
    const resource = this.#cluster.registry.all().find(r => resourceId(r) === key.slice(0, space))
    const stored = resource && this.#cluster.store.collection(resource).get(key.slice(space + 1))
    return resource === undefined || stored === undefined ? undefined : { resource, stored }
  }

  /** What has another owner that is still there loses only this one. */
  #deleteOwned(uid: string): void {
    for (const { resource, stored } of this.#ownedBy(uid)) {
      const others = ownersIn(stored).filter(other => other !== uid && this.#lives(stored, other))
      if (others.length > 0) this.#disown(resource, stored, uid)
      else deleteStored(this.#cluster, resource, stored, BACKGROUND)
    }
    if (this.#owned.get(uid)?.size === 0) this.#owned.delete(uid)
  }

  #lives(stored: Stored, uid: string): boolean {
    const owner = treeOf(stored).metadata.ownerReferences?.find(reference => reference.uid === uid)
    const resource = owner && this.#cluster.registry.findKind(owner.apiVersion, owner.kind)
    if (owner === undefined || resource === undefined) return false
    return this.#cluster.store.get(resource, stored.namespace, owner.name)?.uid === uid
  }

  #disown(resource: Resource, stored: Stored, uid: string): void {
    const object = treeOf(stored)
    object.metadata.ownerReferences = (object.metadata.ownerReferences ?? []).filter(owner => owner.uid !== uid)
    this.#cluster.store.put(resource, object)
  }

  /** Does the garbage collector's own part of a deletion that has begun. */
  #finalize(id: string, key: string): void {
    const found = this.#find(`${id} ${key}`)
    if (found === undefined) return
    const { resource, stored } = found
    if (resource.plural === 'namespaces') return this.#endNamespace(stored.name, true)
    const { finalizers = [] } = treeOf(stored).metadata
    if (finalizers.includes('orphan')) {
      for (const owned of this.#ownedBy(stored.uid)) this.#disown(owned.resource, owned.stored, stored.uid)
      this.#finish(found, 'orphan')
    } else if (finalizers.includes('foregroundDeletion')) {
      this.#deleteOwned(stored.uid)
      if (this.#ownedBy(stored.uid).length === 0) this.#finish(found, 'foregroundDeletion')
      else this.#waiting.set(stored.uid, { id, key })
    }
  }

  #ownedHasGone(uid: string): void {
    const owner = this.#waiting.get(uid)
    if (owner === undefined) return
    this.#waiting.delete(uid)
    this.#finalize(owner.id, owner.key)
  }

  #finish({ resource, stored }: Dependent, finalizer: string): void {
    const object = treeOf(stored)
    object.metadata.finalizers = (object.metadata.finalizers ?? []).filter(name => name !== finalizer)
    if (object.metadata.finalizers.length > 0) this.#cluster.store.put(resource, object)
    else remove(this.#cluster, resource, stored)
  }

  /** Empties a namespace that is being deleted, and removes it once nothing is left. */
  #endNamespace(name: string, empties = false): void {
    const namespaces = this.#cluster.registry.find('', 'v1', 'namespaces')
    const stored = namespaces && this.#cluster.store.get(namespaces, '', name)
    if (namespaces === undefined || stored === undefined) return
    const namespace = treeOf(stored)
    if (!namespace.metadata.deletionTimestamp) return
    const content = this.#cluster.registry
      .all()
      .filter(r => r.namespaced && !r.virtual)
      .flatMap(resource => {
        const collection = this.#cluster.store.collection(resource)
        return [...collection.at(this.#cluster.store.revision, `${name}/`)].map(each => ({ resource, stored: each }))
      })
    if (empties) for (const each of content) deleteStored(this.#cluster, each.resource, each.stored, BACKGROUND)
    else if (content.length === 0 && (namespace.metadata.finalizers ?? []).length === 0) {
      namespace['spec'] = { ...objectAt(namespace, 'spec'), finalizers: [] }
      remove(this.#cluster, namespaces, stored)
    }
    if (empties && content.length === 0) this.#later(() => this.#endNamespace(name))
  }
}

/** Cheap, and may be wrong of an object that has such a word in it: whoever asks goes by what finalizers it has. */
function isEnding(stored: Stored): boolean {
  return stored.body.includes('"deletionTimestamp"')
}

function ownersIn(stored: Stored): string[] {
  if (!stored.body.includes('"ownerReferences"')) return []
  return (treeOf(stored).metadata.ownerReferences ?? []).map(owner => owner.uid)
}
