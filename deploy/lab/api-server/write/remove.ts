/** The last step of a deletion, and what goes with the object. */
import type { Cluster } from '../cluster.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Stored } from '../objects/collection.ts'

/** Takes an object out; with a definition goes all that it defined. Always answers undefined: nothing is left. */
export function remove(cluster: Cluster, resource: Resource, stored: Stored): undefined {
  cluster.store.remove(resource, stored)
  if (resource.plural !== 'customresourcedefinitions') return undefined
  for (const gone of cluster.registry.undefine(stored.name)) {
    cluster.store.drop(gone)
    cluster.watches.endOf(gone)
  }
  return undefined
}
