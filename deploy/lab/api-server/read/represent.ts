/** In which form the client wants objects: whole, as a table to print, or their metadata alone. */
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import type { Stored } from '../objects/collection.ts'
import { treeOf } from '../objects/store.ts'
import { tableOf } from './table.ts'

export type Form = 'whole' | 'Table' | 'PartialObjectMetadata'

/** The first form of an `Accept` header that this server has. */
export function formOf(accept: string): { form: Form; version: string } {
  for (const part of accept.split(',')) {
    const as = /;\s*as=(\w+)/.exec(part)?.[1] ?? ''
    const version = /;\s*v=(\w+)/.exec(part)?.[1] ?? 'v1'
    if (as === 'Table') return { form: 'Table', version }
    if (as.startsWith('PartialObjectMetadata')) return { form: 'PartialObjectMetadata', version }
    if (as === '') return { form: 'whole', version }
  }
  return { form: 'whole', version: 'v1' }
}

/** The object as it is answered, `kind` and `apiVersion` first. */
export function wholeObject(resource: Resource, body: Buffer): Buffer {
  return Buffer.concat([headOf(resource), body.subarray(1)])
}

const heads = new WeakMap<Resource, Buffer>()

function headOf(resource: Resource): Buffer {
  const known = heads.get(resource)
  if (known !== undefined) return known
  const head = Buffer.from(`{"kind":"${resource.kind}","apiVersion":"${apiVersionOf(resource)}",`)
  heads.set(resource, head)
  return head
}

/**
 * The object as it stands in a list: one of Kubernetes' own kinds does not say there what it is, since the list does
 * (k8s.io/apimachinery: `kind` and `apiVersion` are of the outermost object); a custom resource does.
 */
export function listedObject(resource: Resource, stored: Stored): Buffer {
  return resource.custom === undefined ? stored.body : wholeObject(resource, stored.body)
}

export function partialObject(stored: Stored, version: string): Buffer {
  const { metadata } = treeOf(stored)
  return Buffer.from(JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata }))
}

/** One object in the form that was asked for. */
export function represent(resource: Resource, stored: Stored, accept: string, now: string): Buffer {
  const { form, version } = formOf(accept)
  if (form === 'whole') return wholeObject(resource, stored.body)
  if (form === 'PartialObjectMetadata') return partialObject(stored, version)
  const metadata = { resourceVersion: `${stored.revision}` }
  return Buffer.from(JSON.stringify(tableOf(resource, [stored], { version, metadata, now })))
}
