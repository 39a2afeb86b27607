/**
 * What an object of an own kind may hold, as a structural schema says it (OpenAPI v3; Kubernetes, "Extend the Kubernetes
 * API with CustomResourceDefinitions"). Lists have a greatest length: rules in CEL are refused where their cost has none.
 */

export interface Shape {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly description?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Shape
  readonly items?: Shape
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly format?: string
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-preserve-unknown-fields'?: true
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[]
}

type About = Omit<Shape, 'type'>

/** `fields` whose names end in `!` are required. */
export function group(fields: Readonly<Record<string, Shape>>, about: About = {}): Shape {
  const required = Object.keys(fields).filter(name => name.endsWith('!'))
  const properties = Object.entries(fields).map(([name, shape]) => [name.replace(/!$/, ''), shape])
  return {
    type: 'object',
    ...about,
    properties: Object.fromEntries(properties) as Readonly<Record<string, Shape>>,
    ...(required.length > 0 && { required: required.map(name => name.slice(0, -1)) }),
  }
}

export function list(items: Shape, maxItems: number, about: About = {}): Shape {
  return { type: 'array', ...about, maxItems, items }
}

export function text(about: About = {}): Shape {
  return { type: 'string', ...about }
}

export function word(words: readonly string[], about: About = {}): Shape {
  return { type: 'string', ...about, enum: words }
}

export function whole(minimum: number, maximum: number, about: About = {}): Shape {
  return { type: 'integer', ...about, minimum, maximum }
}

/** A rule in the Common Expression Language over `self`. */
export function rule(text: string, message: string): NonNullable<Shape['x-kubernetes-validations']>[number] {
  return { rule: text, message }
}

/** An IPv4 or IPv6 prefix as far as an expression tells; the rest is checked when it is read. */
export const prefix: Shape = text({ maxLength: 43, pattern: String.raw`^[0-9a-fA-F.:]+/[0-9]{1,3}$` })
export const address: Shape = text({ maxLength: 39, pattern: '^[0-9a-fA-F.:]+$' })

const labelText = text({ maxLength: 317 })

/** A LabelSelector (meta/v1). */
export function labelSelector(description: string): Shape {
  const requirement = group({
    'key!': labelText,
    'operator!': word(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: list(text({ maxLength: 63 }), 64),
  })
  return group(
    {
      matchLabels: { type: 'object', additionalProperties: text({ maxLength: 63 }) },
      matchExpressions: list(requirement, 64),
    },
    { description },
  )
}

/** metav1.Condition. */
export const conditions: Shape = list(
  group({
    'type!': text({ maxLength: 316 }),
    'status!': word(['True', 'False', 'Unknown']),
    'reason!': text({ minLength: 1, maxLength: 1024, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
    'message!': text({ maxLength: 32_768 }),
    'lastTransitionTime!': text({ format: 'date-time' }),
    observedGeneration: whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64' }),
  }),
  32,
  { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
)
