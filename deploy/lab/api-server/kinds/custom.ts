/** A CustomResourceDefinition read into the resources it defines. */
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt, texts } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import type { Cause } from '../status.ts'
import type { PrinterColumn, Resource, ScalePaths } from './resource.ts'
import { readSchema, shapeOf } from './schema.ts'
import { customShape } from './shape.ts'
import { cause, invalidValue } from './validate.ts'

const SPEC = 'spec'

/** One resource a served version, that which is stored first. */
export function resourcesOf(definition: KubeObject): Resource[] {
  const versions = listAt(definition, SPEC, 'versions').filter(isObject)
  const served = versions.filter(version => version['served'] === true)
  return served
    .sort((a, b) => Number(b['storage'] === true) - Number(a['storage'] === true))
    .map(version => resourceOf(definition, version))
}

function resourceOf(definition: KubeObject, version: JsonObject): Resource {
  const names = objectAt(definition, SPEC, 'names')
  const kind = textAt(names, 'kind')
  const raw = objectAt(version, 'schema', 'openAPIV3Schema')
  const schema = readSchema(raw)
  const subresources = objectAt(version, 'subresources')
  const selectable = listAt(version, 'selectableFields').map(field => textAt(field, 'jsonPath').replace(/^\./, ''))
  return {
    group: textAt(definition, SPEC, 'group'),
    version: textAt(version, 'name'),
    plural: textAt(names, 'plural'),
    kind,
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    shortNames: texts(listAt(names, 'shortNames')),
    categories: texts(listAt(names, 'categories')),
    namespaced: textAt(definition, SPEC, 'scope') === 'Namespaced',
    status: subresources['status'] !== undefined,
    scale: scaleOf(subresources['scale']),
    counted: true,
    fields: selectable,
    shape: customShape(shapeOf(schema)),
    custom: {
      schema,
      raw,
      columns: listAt(version, 'additionalPrinterColumns').map(columnOf),
      definition: definition.metadata.name ?? '',
    },
    virtual: false,
  }
}

function scaleOf(value: Json | undefined): ScalePaths | undefined {
  if (!isObject(value)) return undefined
  return {
    specReplicasPath: textAt(value, 'specReplicasPath'),
    statusReplicasPath: textAt(value, 'statusReplicasPath'),
    labelSelectorPath: textAt(value, 'labelSelectorPath'),
  }
}

function columnOf(value: Json): PrinterColumn {
  const priority = isObject(value) ? value['priority'] : 0
  return {
    name: textAt(value, 'name'),
    type: textAt(value, 'type'),
    format: textAt(value, 'format'),
    description: textAt(value, 'description'),
    priority: typeof priority === 'number' ? priority : 0,
    jsonPath: textAt(value, 'jsonPath'),
  }
}

/** What is wrong with a definition, as far as this server would be misled by it. */
export function checkDefinition(definition: KubeObject): Cause[] {
  const name = definition.metadata.name ?? ''
  const group = textAt(definition, SPEC, 'group')
  const plural = textAt(definition, SPEC, 'names', 'plural')
  const scope = textAt(definition, SPEC, 'scope')
  const versions = listAt(definition, SPEC, 'versions')
  const causes: Cause[] = []
  if (name !== `${plural}.${group}`)
    causes.push(invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group'))
  if (group === '') causes.push(cause('Required', 'spec.group', 'Required value'))
  if (textAt(definition, SPEC, 'names', 'kind') === '')
    causes.push(cause('Required', 'spec.names.kind', 'Required value'))
  if (scope !== 'Cluster' && scope !== 'Namespaced')
    causes.push(
      cause('NotSupported', 'spec.scope', `Unsupported value: "${scope}": supported values: "Cluster", "Namespaced"`),
    )
  if (versions.filter(version => isObject(version) && version['storage'] === true).length !== 1)
    causes.push(invalidValue('spec.versions', '', 'must have exactly one version marked as storage version'))
  versions.forEach((version, i) => causes.push(...checkVersion(version, `spec.versions[${i}]`)))
  return causes
}

function checkVersion(version: Json, path: string): Cause[] {
  const schema = isObject(version) ? objectAt(version, 'schema')['openAPIV3Schema'] : undefined
  if (!isObject(schema))
    return [cause('Required', `${path}.schema.openAPIV3Schema`, 'Required value: schemas are required')]
  const field = `${path}.schema.openAPIV3Schema`
  const causes = checkStructure(schema, field)
  if (textAt(schema, 'type') !== 'object')
    causes.push(invalidValue(`${field}.type`, textAt(schema, 'type'), 'must be object at the root'))
  try {
    readSchema(schema, field)
  } catch (error) {
    causes.push(invalidValue(field, '', error instanceof Error ? error.message : String(error)))
  }
  return causes
}

/** A structural schema says of each node what type it has (k8s.io/apiextensions-apiserver pkg/apiserver/schema). */
function checkStructure(schema: JsonObject, path: string): Cause[] {
  const free = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true
  const own =
    textAt(schema, 'type') === '' && !free
      ? [cause('Required', `${path}.type`, 'Required value: must not be empty for specified object fields')]
      : []
  const properties = Object.entries(objectAt(schema, 'properties')).flatMap(([name, inner]) =>
    isObject(inner) ? checkStructure(inner, `${path}.properties[${name}]`) : [],
  )
  const nested = ['items', 'additionalProperties'].flatMap(name => {
    const inner = schema[name]
    return isObject(inner) ? checkStructure(inner, `${path}.${name}`) : []
  })
  return [...own, ...properties, ...nested]
}

/** The status a definition has once its resources are served; what it was before is gone on from. */
export function servedStatus(definition: KubeObject, now: string): JsonObject {
  const was = objectAt(definition, 'status')
  const names = objectAt(definition, SPEC, 'names')
  const kind = textAt(names, 'kind')
  const storage = listAt(definition, SPEC, 'versions').find(version => isObject(version) && version['storage'] === true)
  const stored = texts(listAt(was, 'storedVersions'))
  const version = textAt(storage, 'name')
  return {
    conditions: was['conditions'] ?? [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found', now),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted', now),
    ],
    acceptedNames: {
      ...names,
      listKind: textAt(names, 'listKind') || `${kind}List`,
      singular: textAt(names, 'singular') || kind.toLowerCase(),
    },
    storedVersions: stored.includes(version) ? stored : [...stored, version],
  }
}

function condition(type: string, reason: string, message: string, lastTransitionTime: string): JsonObject {
  return { type, status: 'True', lastTransitionTime, reason, message }
}
