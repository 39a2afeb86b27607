/** The value of an expression. Whole numbers and others are not told apart by type, only by their value. */
import { asText, equal, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { compare, FUNCTIONS, noOverload } from './functions.ts'
import type { Expression } from './parse.ts'

export type Variables = Readonly<Record<string, Json>>

const MACROS = ['all', 'exists', 'exists_one', 'map', 'filter']

/** What an expression names that is not known here: functions, and variables other than `known`. */
export function unknownIn(expression: Expression, known: readonly string[]): string[] {
  const all = (...parts: readonly (Expression | undefined)[]): string[] =>
    parts.flatMap(part => (part === undefined ? [] : unknownIn(part, known)))
  switch (expression.kind) {
    case 'value':
      return []
    case 'name':
      return known.includes(expression.name) ? [] : [expression.name]
    case 'list':
      return all(...expression.items)
    case 'map':
      return expression.entries.flatMap(([key, value]) => all(key, value))
    case 'member':
    case 'unary':
      return all(expression.of)
    case 'index':
      return all(expression.of, expression.index)
    case 'binary':
      return all(expression.left, expression.right)
    case 'choice':
      return all(expression.test, expression.yes, expression.no)
    case 'call': {
      const { of, name, args } = expression
      const [variable, ...rest] = args
      if (of !== undefined && MACROS.includes(name) && variable?.kind === 'name')
        return [...all(of), ...rest.flatMap(part => unknownIn(part, [...known, variable.name]))]
      const own = Object.hasOwn(FUNCTIONS, name) || (name === 'has' && of === undefined) ? [] : [name]
      return [...own, ...all(of, ...args)]
    }
  }
}

/** Whether an expression names a variable, freely or not. */
export function uses(expression: Expression, variable: string): boolean {
  return JSON.stringify(expression).includes(`{"kind":"name","name":${JSON.stringify(variable)}}`)
}

/** @throws Error as the language has it: no such key, no such overload … */
export function evaluate(expression: Expression, variables: Variables): Json {
  switch (expression.kind) {
    case 'value':
      return expression.value
    case 'name':
      return member(variables, expression.name)
    case 'list':
      return expression.items.map(item => evaluate(item, variables))
    case 'map':
      return Object.fromEntries(
        expression.entries.map(([key, value]) => [asText(evaluate(key, variables)), evaluate(value, variables)]),
      )
    case 'member':
      return member(evaluate(expression.of, variables), expression.name)
    case 'index':
      return at(evaluate(expression.of, variables), evaluate(expression.index, variables))
    case 'unary':
      return unary(expression.sign, evaluate(expression.of, variables))
    case 'binary':
      return binary(expression, variables)
    case 'choice':
      return evaluate(isTrue(evaluate(expression.test, variables)) ? expression.yes : expression.no, variables)
    case 'call':
      return call(expression, variables)
  }
}

function member(of: Json | Variables, name: string): Json {
  const value =
    typeof of === 'object' && of !== null && !Array.isArray(of) && Object.hasOwn(of, name) ? of[name] : undefined
  if (value === undefined) throw new Error(`no such key: ${name}`)
  return value
}

function at(of: Json, index: Json): Json {
  if (Array.isArray(of) && typeof index === 'number') {
    const value = of[index]
    if (value === undefined) throw new Error(`index out of bounds: ${index}`)
    return value
  }
  if (typeof index !== 'string') throw noOverload()
  return member(of, index)
}

function isTrue(value: Json): boolean {
  if (typeof value !== 'boolean') throw noOverload()
  return value
}

function unary(sign: string, value: Json): Json {
  if (sign === '!') return !isTrue(value)
  if (typeof value !== 'number') throw noOverload()
  return -value
}

type Binary = Extract<Expression, { kind: 'binary' }>

function binary({ sign, left, right }: Binary, variables: Variables): Json {
  if (sign === '&&' || sign === '||') return logical(left, right, variables, sign === '||')
  const a = evaluate(left, variables)
  const b = evaluate(right, variables)
  switch (sign) {
    case '==':
      return equal(a, b)
    case '!=':
      return !equal(a, b)
    case 'in':
      if (Array.isArray(b)) return b.some(item => equal(item, a))
      return isObject(b) && typeof a === 'string' && b[a] !== undefined
    case '<':
      return compare(a, b) < 0
    case '<=':
      return compare(a, b) <= 0
    case '>':
      return compare(a, b) > 0
    case '>=':
      return compare(a, b) >= 0
    default:
      return calculated(sign, a, b)
  }
}

/** A side that decides does so whatever becomes of the other one (cel-spec, "Logical Operators"). */
function logical(left: Expression, right: Expression, variables: Variables, deciding: boolean): boolean {
  let failure: unknown
  for (const side of [left, right]) {
    try {
      if (isTrue(evaluate(side, variables)) === deciding) return deciding
    } catch (error) {
      failure ??= error
    }
  }
  if (failure !== undefined) throw failure
  return !deciding
}

function calculated(sign: string, a: Json, b: Json): Json {
  if (sign === '+' && typeof a === 'string' && typeof b === 'string') return a + b
  if (sign === '+' && Array.isArray(a) && Array.isArray(b)) return [...a, ...b]
  if (typeof a !== 'number' || typeof b !== 'number') throw noOverload()
  const whole = Number.isInteger(a) && Number.isInteger(b)
  switch (sign) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '%':
      if (b === 0) throw new Error('modulus by zero')
      return a % b
    default:
      if (whole && b === 0) throw new Error('division by zero')
      return whole ? Math.trunc(a / b) : a / b
  }
}

type Call = Extract<Expression, { kind: 'call' }>

function call({ of, name, args }: Call, variables: Variables): Json {
  const [first, ...rest] = args
  if (of === undefined && name === 'has') return has(first, variables)
  if (of !== undefined && MACROS.includes(name) && first?.kind === 'name')
    return macro(name, evaluate(of, variables), first.name, rest, variables)
  const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
  if (known === undefined) throw noOverload()
  const values = [...(of === undefined ? [] : [of]), ...args].map(arg => evaluate(arg, variables))
  return known(...values)
}

function has(field: Expression | undefined, variables: Variables): boolean {
  if (field?.kind !== 'member') throw new Error('invalid argument to has() macro')
  const of = evaluate(field.of, variables)
  return isObject(of) && of[field.name] !== undefined
}

/** `over.name(variable, …)`, for the values of a list or the keys of a map. */
function macro(name: string, over: Json, variable: string, parts: readonly Expression[], variables: Variables): Json {
  const items = Array.isArray(over) ? over : isObject(over) ? Object.keys(over as JsonObject) : undefined
  const [first, second] = parts
  if (items === undefined || first === undefined) throw noOverload()
  const value = (item: Json, part: Expression): Json => evaluate(part, { ...variables, [variable]: item })
  const holds = (item: Json): boolean => isTrue(value(item, first))
  switch (name) {
    case 'all':
      return items.every(holds)
    case 'exists':
      return items.some(holds)
    case 'exists_one':
      return items.filter(holds).length === 1
    case 'filter':
      return items.filter(holds)
    default:
      return second === undefined
        ? items.map(item => value(item, first))
        : items.filter(holds).map(item => value(item, second))
  }
}
