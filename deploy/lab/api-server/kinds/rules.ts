/** Rules of a schema in the Common Expression Language (`x-kubernetes-validations`; apiextensions pkg/apiserver/schema/cel). */
import { evaluate, unknownIn, uses } from '../cel/evaluate.ts'
import { type Expression, parseExpression } from '../cel/parse.ts'
import { isObject, type Json, listAt, textAt } from '../objects/json.ts'
import type { Cause } from '../status.ts'
import type { Schema } from './schema.ts'
import { cause } from './validate.ts'

export interface Rule {
  readonly text: string
  readonly expression: Expression
  /** Only asked where there is an older value to compare with. */
  readonly usesOld: boolean
  /** What is said when it does not hold; empty for the rule itself. */
  readonly message: string
  /** What is said, as an expression. */
  readonly messageExpression: Expression | undefined
  /** Below the value that the rule is of, such as `.cidr`; empty for the value itself. */
  readonly fieldPath: string
  readonly reason: string
}

/** Reads the rules of a schema. @throws Error with a sentence when one is no expression, or one that is not known here */
export function readRules(schema: Json, path: string): Rule[] {
  return listAt(schema, 'x-kubernetes-validations').map((rule, i) => {
    const text = textAt(rule, 'rule')
    const message = textAt(rule, 'messageExpression')
    try {
      return {
        text,
        ...compile(text),
        message: textAt(rule, 'message').trim(),
        messageExpression: message === '' ? undefined : compile(message).expression,
        fieldPath: textAt(rule, 'fieldPath'),
        reason: textAt(rule, 'reason'),
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`${path}.x-kubernetes-validations[${i}].rule: compilation failed: ${why}`, { cause: error })
    }
  })
}

function compile(text: string): { expression: Expression; usesOld: boolean } {
  const expression = parseExpression(text)
  const [unknown] = unknownIn(expression, ['self', 'oldSelf'])
  if (unknown !== undefined) throw new Error(`undeclared reference to '${unknown}' (in container '')`)
  return { expression, usesOld: uses(expression, 'oldSelf') }
}

/** What does not hold of a value and of all in it; `old` is what stood in its place before. */
export function brokenRules(value: Json | undefined, old: Json | undefined, schema: Schema, path = ''): Cause[] {
  if (value === undefined || value === null) return []
  const own = schema.rules.flatMap(rule => broken(rule, value, old, path))
  if (Array.isArray(value)) {
    const { items } = schema
    if (items === undefined) return own
    return [
      ...own,
      ...value.flatMap((item, i) => brokenRules(item, oldEntry(old, item, schema), items, `${path}[${i}]`)),
    ]
  }
  if (!isObject(value)) return own
  const members = Object.entries(value).flatMap(([name, member]) => {
    const known = Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.additional
    if (known === undefined) return []
    return brokenRules(member, isObject(old) ? old[name] : undefined, known, path === '' ? name : `${path}.${name}`)
  })
  return [...own, ...members]
}

/** Entries of a list are the same ones only where the list says what tells them apart. */
function oldEntry(old: Json | undefined, item: Json, schema: Schema): Json | undefined {
  if (schema.listType !== 'map' || !Array.isArray(old) || !isObject(item)) return undefined
  return old.find(entry => isObject(entry) && schema.listMapKeys.every(key => entry[key] === item[key]))
}

function broken(rule: Rule, value: Json, old: Json | undefined, path: string): Cause[] {
  if (rule.usesOld && (old === undefined || old === null)) return []
  const variables = { self: value, ...(old === undefined ? {} : { oldSelf: old }) }
  const shown = isObject(value) || Array.isArray(value) ? '' : `${JSON.stringify(value)}: `
  try {
    if (evaluate(rule.expression, variables) === true) return []
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return [cause('Invalid', path, `Invalid value: ${shown}${why} evaluating rule: ${rule.message || rule.text}`)]
  }
  const field = `${path}${rule.fieldPath}`.replace(/^\./, '')
  return [
    REASONS[rule.reason]?.(field, messageOf(rule, variables)) ?? invalid(field, shown, messageOf(rule, variables)),
  ]
}

function invalid(field: string, shown: string, message: string): Cause {
  return cause('Invalid', field, `Invalid value: ${shown}${message}`)
}

const REASONS: Readonly<Record<string, (field: string, message: string) => Cause>> = {
  FieldValueForbidden: (field, message) => cause('Forbidden', field, `Forbidden: ${message}`),
  FieldValueRequired: (field, message) => cause('Required', field, `Required value: ${message}`),
}

function messageOf(rule: Rule, variables: Readonly<Record<string, Json>>): string {
  if (rule.messageExpression !== undefined) {
    try {
      const message = evaluate(rule.messageExpression, variables)
      if (typeof message === 'string' && message.trim() !== '') return message
    } catch {
      // Kubernetes falls back on the message too.
    }
  }
  return rule.message || `failed rule: ${rule.text}`
}
