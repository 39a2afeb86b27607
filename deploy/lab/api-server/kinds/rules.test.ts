import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../objects/json.ts'
import { brokenRules } from './rules.ts'
import { readSchema } from './schema.ts'

function schema(spec: Record<string, Json>): ReturnType<typeof readSchema> {
  return readSchema({ type: 'object', properties: { spec: { type: 'object', ...spec } } })
}

const text = { type: 'string' }
const rules = (...all: { [name: string]: Json }[]) => ({ 'x-kubernetes-validations': all })
const broken = (value: Json, old: Json | undefined, own: ReturnType<typeof readSchema>) =>
  brokenRules({ spec: value }, old === undefined ? undefined : { spec: old }, own).map(c => `${c.field}: ${c.message}`)

test('a rule that does not hold says so, where it stands', () => {
  const own = schema({
    properties: { low: { type: 'integer' }, high: { type: 'integer', ...rules({ rule: 'self > 0' }) } },
    ...rules({ rule: 'self.low <= self.high', message: 'low must not be above high' }),
  })
  assert.deepEqual(broken({ low: 1, high: 2 }, undefined, own), [])
  assert.deepEqual(broken({ low: 1, high: 0 }, undefined, own), [
    'spec: Invalid value: low must not be above high',
    'spec.high: Invalid value: 0: failed rule: self > 0',
  ])
})

test('a rule about a change is asked of changes alone', () => {
  const own = schema({
    properties: { fixed: { ...text, ...rules({ rule: 'self == oldSelf', message: 'it stays' }) } },
  })
  assert.deepEqual(broken({ fixed: 'a' }, undefined, own), [])
  assert.deepEqual(broken({ fixed: 'a' }, {}, own), [])
  assert.deepEqual(broken({ fixed: 'b' }, { fixed: 'a' }, own), ['spec.fixed: Invalid value: "b": it stays'])
})

test('entries of a list are compared with what they were by their keys', () => {
  const entry = {
    type: 'object',
    properties: { name: text, value: { type: 'integer' } },
    ...rules({ rule: 'self.value >= oldSelf.value', message: 'it only grows' }),
  }
  const list = { type: 'array', items: entry, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }
  const own = schema({ properties: { list } })
  const old = {
    list: [
      { name: 'a', value: 5 },
      { name: 'b', value: 1 },
    ],
  }
  const now = {
    list: [
      { name: 'b', value: 2 },
      { name: 'a', value: 4 },
      { name: 'c', value: 0 },
    ],
  }
  assert.deepEqual(broken(now, old, own), ['spec.list[1]: Invalid value: it only grows'])
})

test('a rule may say itself what is wrong, where, and how', () => {
  const rule = {
    rule: 'self.size < 3',
    messageExpression: "'size ' + string(self.size)",
    fieldPath: '.size',
    reason: 'FieldValueForbidden',
  }
  const own = schema({ properties: { size: { type: 'integer' } }, ...rules(rule) })
  assert.deepEqual(broken({ size: 7 }, undefined, own), ['spec.size: Forbidden: size 7'])
})

test('a rule that fails says how', () => {
  const own = schema({ properties: { a: text }, ...rules({ rule: "self.a == 'x'" }) })
  assert.deepEqual(broken({}, undefined, own), ["spec: Invalid value: no such key: a evaluating rule: self.a == 'x'"])
})

test('a rule that cannot be read, or asks for more than there is, is refused with its schema', () => {
  assert.throws(
    () => schema(rules({ rule: 'self.a ==' })),
    /x-kubernetes-validations\[0\].rule: compilation failed: Syntax error/,
  )
  assert.throws(
    () => schema(rules({ rule: 'quantity(self.a) > 1' })),
    /compilation failed: undeclared reference to 'quantity'/,
  )
})
