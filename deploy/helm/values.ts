/** Values of the chart as helm treats them: merged over each other, and checked against values.schema.json. */
import { Ajv } from 'ajv'

export interface Values {
  readonly [key: string]: unknown
}

/** Values that the schema of the chart refuses, each with its place. */
export class ValuesRefused extends Error {
  readonly code = 'VALUES_REFUSED'
}

/** `over` laid over `under`: maps key by key, everything else as a whole; null takes a key away. */
export function mergeValues(under: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key]
    if (value === null) delete merged[key]
    else merged[key] = isMap(old) && isMap(value) ? mergeValues(old, value) : value
  }
  return merged
}

/** Throws ValuesRefused. */
export function checkValues(values: Values, schema: string): void {
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strictTypes: false })
  const validate = ajv.compile(JSON.parse(schema) as object)
  if (validate(values)) return
  const problems = (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath || '/'} ${message}: ${JSON.stringify(params)}`,
  )
  throw new ValuesRefused(`these values are not allowed:\n${problems.join('\n')}`)
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
