/** What resources there are at the moment: Kubernetes' own, and those that CustomResourceDefinitions add. */
import type { KubeObject } from '../objects/kube-object.ts'
import { BUILT_IN_RESOURCES } from './built-in.ts'
import { resourcesOf } from './custom.ts'
import { apiVersionOf, type Resource } from './resource.ts'

export class Registry {
  /** By `apiVersion/plural`, in the order of discovery. */
  readonly #resources = new Map<string, Resource>()

  constructor() {
    for (const resource of BUILT_IN_RESOURCES) this.#resources.set(nameOf(resource), resource)
  }

  all(): Resource[] {
    return [...this.#resources.values()]
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#resources.get(nameOf({ group, version, plural }))
  }

  /** The resource of a kind, as an owner reference names it; the version need not be one that is served. */
  findKind(apiVersion: string, kind: string): Resource | undefined {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
    return this.all().find(resource => resource.group === group && resource.kind === kind && !resource.virtual)
  }

  /** Serves what a definition defines, in the place of what it defined before. */
  define(definition: KubeObject): void {
    this.undefine(definition.metadata.name ?? '')
    for (const resource of resourcesOf(definition)) this.#resources.set(nameOf(resource), resource)
  }

  /** Serves no longer what the definition of a name defined; the answer is what that was. */
  undefine(definition: string): Resource[] {
    const gone = this.all().filter(resource => resource.custom?.definition === definition)
    for (const resource of gone) this.#resources.delete(nameOf(resource))
    return gone
  }

  /** Groups with their versions, the newest first as discovery prefers it. */
  groups(): { group: string; versions: string[] }[] {
    const groups = new Map<string, string[]>()
    for (const { group, version } of this.all()) {
      const versions = groups.get(group) ?? []
      if (!versions.includes(version)) versions.push(version)
      groups.set(group, versions)
    }
    return [...groups].map(([group, versions]) => ({ group, versions: versions.sort(newestFirst) }))
  }

  of(group: string, version: string): Resource[] {
    return this.all().filter(resource => resource.group === group && resource.version === version)
  }
}

function nameOf(resource: Pick<Resource, 'group' | 'version' | 'plural'>): string {
  return `${apiVersionOf(resource)}/${resource.plural}`
}

/** v2 > v1 > v1beta2 > v1beta1 > v1alpha1 > anything else (k8s.io/apimachinery pkg/version). */
function newestFirst(a: string, b: string): number {
  return rank(b) - rank(a) || (a < b ? -1 : 1)
}

function rank(version: string): number {
  const [, major, stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? []
  if (major === undefined) return -1
  const stages: Readonly<Record<string, number>> = { alpha: 0, beta: 1 }
  return (stage === undefined ? 2 : (stages[stage] ?? 0)) * 1e6 + Number(major) * 1e3 + Number(minor)
}
