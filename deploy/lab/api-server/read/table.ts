/** Objects as tables, which is how kubectl prints what it does not know (API concepts, "Receiving resources as Tables"). */
import { age, ageColumn, type Column, nameColumn } from './column.ts'
import { builtInColumns } from './columns.ts'
import { find } from './json-path.ts'
import type { PrinterColumn, Resource } from '../kinds/resource.ts'
import type { Stored } from '../objects/collection.ts'
import { asText, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { treeOf } from '../objects/store.ts'

export interface TableOptions {
  readonly version: string
  readonly metadata: JsonObject
  /** A time as the API writes it, from which ages count. */
  readonly now: string
  /** Every event of a watch after the first leaves the definitions out. */
  readonly headless?: boolean
}

export function tableOf(resource: Resource, objects: readonly Stored[], options: TableOptions): JsonObject {
  const columns = [nameColumn, ...(resource.custom?.columns.map(customColumn) ?? builtInColumns(resource) ?? [])]
  if (columns.length === 1 || resource.custom?.columns.length === 0) columns.push(ageColumn)
  const now = Date.parse(options.now)
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: options.metadata,
    columnDefinitions: options.headless === true ? [] : columns.map(column => column.definition),
    rows: objects.map(stored => {
      const object = treeOf(stored)
      return {
        cells: columns.map(column => column.cell(object, now)),
        object: {
          kind: 'PartialObjectMetadata',
          apiVersion: `meta.k8s.io/${options.version}`,
          metadata: object.metadata,
        },
      }
    }),
  }
}

function customColumn(from: PrinterColumn): Column {
  const description = from.description || `Custom resource definition column (in JSONPath format): ${from.jsonPath}`
  return {
    definition: { name: from.name, type: from.type, format: from.format, description, priority: from.priority },
    cell: (object, now) => {
      const [value] = find(object, from.jsonPath)
      return value === undefined || value === null ? null : cellOf(from.type, value, now)
    },
  }
}

/** What a column of a type makes of a value (k8s.io/apiextensions-apiserver tableconvertor). */
function cellOf(type: string, value: Json, now: number): Json {
  switch (type) {
    case 'string':
      return isObject(value) || Array.isArray(value) ? JSON.stringify(value) : asText(value)
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return typeof value === 'string' ? age(value, now) : null
    default:
      return null
  }
}
