/** A resource as the server serves it at one version, whether Kubernetes' own or defined by a CustomResourceDefinition. */
import type { JsonObject } from '../objects/json.ts'
import type { StoredResource } from '../objects/store.ts'
import type { Schema } from './schema.ts'
import type { Shape } from './shape.ts'

export interface PrinterColumn {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly description: string
  /** 0 is shown always, more with `-o wide`. */
  readonly priority: number
  readonly jsonPath: string
}

export interface ScalePaths {
  readonly specReplicasPath: string
  readonly statusReplicasPath: string
  readonly labelSelectorPath: string
}

/** What a definition says of a version of its resource. */
export interface Custom {
  readonly schema: Schema
  /** The schema as it was written. */
  readonly raw: JsonObject
  readonly columns: readonly PrinterColumn[]
  /** The definition's name. */
  readonly definition: string
}

export interface Resource extends StoredResource {
  readonly version: string
  readonly kind: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  /** A subresource of its own, that the main resource does not write. */
  readonly status: boolean
  readonly scale: ScalePaths | undefined
  /** Whether metadata.generation counts changes of what is wanted. */
  readonly counted: boolean
  /** Which lists are merged, and by which keys. */
  readonly shape: Shape
  /** Of a custom resource. */
  readonly custom: Custom | undefined
  /** Asked by POST, never kept: a review of access. */
  readonly virtual: boolean
}

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Resource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`
}

export function listKindOf(resource: Pick<Resource, 'kind'>): string {
  return `${resource.kind}List`
}
