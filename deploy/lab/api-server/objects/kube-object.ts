/** An object of the API in memory: its metadata has a type, the rest is JSON. */
import { isObject, type Json, type JsonObject } from './json.ts'

export interface OwnerReference extends JsonObject {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface Metadata extends JsonObject {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string | null
  deletionTimestamp?: string | null
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  managedFields?: JsonObject[]
}

export interface KubeObject extends JsonObject {
  apiVersion?: string
  kind?: string
  metadata: Metadata
}

/** Takes a body for an object of the API, giving it metadata when it has none; undefined when it cannot be one. */
export function asKubeObject(value: Json | undefined): KubeObject | undefined {
  if (!isObject(value)) return undefined
  if (value['metadata'] === undefined || value['metadata'] === null) value['metadata'] = {}
  return isKubeObject(value) ? value : undefined
}

function isKubeObject(value: JsonObject): value is KubeObject {
  const { metadata } = value
  if (!isObject(metadata)) return false
  return (
    optional(metadata['name'], isText) &&
    optional(metadata['generateName'], isText) &&
    optional(metadata['namespace'], isText) &&
    optional(metadata['labels'], isTextMap) &&
    optional(metadata['annotations'], isTextMap) &&
    optional(metadata['finalizers'], value => Array.isArray(value) && value.every(isText)) &&
    optional(metadata['ownerReferences'], value => Array.isArray(value) && value.every(isObject)) &&
    optional(metadata['managedFields'], value => Array.isArray(value) && value.every(isObject))
  )
}

function optional(value: Json | undefined, holds: (value: Json) => boolean): boolean {
  return value === undefined || value === null || holds(value)
}

const isText = (value: Json): boolean => typeof value === 'string'
const isTextMap = (value: Json): boolean => isObject(value) && Object.values(value).every(v => typeof v === 'string')
