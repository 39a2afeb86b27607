/** Objects and their containers by name. */
import type { Manifest } from './render.ts'

export interface Container {
  readonly name: string
  readonly command: readonly string[]
  readonly securityContext: {
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] }
    readonly [key: string]: unknown
  }
  readonly [key: string]: unknown
}

/** The one object of a kind and name; throws when there is none, or more. */
export function findManifest(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const [found, another] = manifests.filter(m => m.kind === kind && m.metadata.name === name)
  if (found === undefined || another !== undefined) throw new Error(`${found ? 'more than one' : 'no'} ${kind} ${name}`)
  return found
}

/** Containers of a workload, init containers first. The chart's own ones have all that a Container has. */
export function containersOf(workload: Manifest): ReadonlyMap<string, Container> {
  const { template } = workload.spec as { template: { spec: Record<string, Container[] | undefined> } }
  const all = [...(template.spec.initContainers ?? []), ...(template.spec.containers ?? [])]
  return new Map(all.map(container => [container.name, container]))
}
