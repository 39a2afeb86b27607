/** The JSON schema of the values under `config`, from the schema of the configuration itself. */
import * as z from 'zod/mini'
import { plugins } from '../../plugins/index.ts'
import type { Field, Section } from '../../daemon/config/field.ts'
import { schema } from '../../daemon/config/schema.ts'

/** What the chart writes itself. */
const OWN_KEYS = ['nodeName', 'cluster', 'metrics', 'operator.listen', 'operator.namespace', 'operator.lease.name']

interface ObjectSchema {
  readonly type: 'object'
  readonly description?: string
  readonly additionalProperties: false
  readonly properties: Record<string, object>
}

/** An object schema that knows every key but those that the chart writes, and the sections of plugins. */
export function configSchema(): ObjectSchema {
  const config = sectionSchema(schema, '')
  for (const { name } of plugins)
    config.properties[name] = {
      description: `The section of plugin ${name}, which turns it on; false turns it off.`,
      anyOf: [{ type: 'object' }, { const: false }],
    }
  config.properties.plugins = {
    description: 'Plugins from outside.',
    type: 'array',
    items: { type: 'object', required: ['module'], properties: { module: { type: 'string', minLength: 1 } } },
  }
  return config
}

function sectionSchema({ about, fields }: Section, path: string): ObjectSchema {
  const properties: Record<string, object> = {}
  for (const [key, part] of Object.entries(fields)) {
    const name = path === '' ? key : `${path}.${key}`
    if (OWN_KEYS.includes(name)) continue
    properties[key] = part.kind === 'section' ? sectionSchema(part, name) : fieldSchema(part)
  }
  return { type: 'object', ...(about !== '' && { description: about }), additionalProperties: false, properties }
}

/** What a pattern or a bound cannot say is left to `causeway config check`. */
function fieldSchema(field: Field<unknown>): object {
  const { $schema: _, ...rest } = z.toJSONSchema(field.schema, { target: 'draft-7' })
  return { description: `${field.about} Allowed: ${field.allowed}.`, ...rest }
}
