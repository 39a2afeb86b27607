import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../objects/json.ts'
import { evaluate, unknownIn, uses } from './evaluate.ts'
import { parseExpression } from './parse.ts'

const self: Json = {
  name: 'a',
  size: 4,
  cidr: '10.0.0.0/8',
  cidrs: ['10.0.0.0/8', 'fd00::/8'],
  labels: { a: '1', b: '2' },
  entries: [
    { name: 'x', value: 1 },
    { name: 'y', value: 2 },
  ],
}

for (const [text, want] of [
  ['1 + 2 * 3 == 7', true],
  ['(1 + 2) * 3', 9],
  ['7 / 2', 3],
  ['-self.size', -4],
  ['7 % 4 == 3 && !false', true],
  [String.raw`'it\'s' + "\n"`, "it's\n"],
  [String.raw`self.name.matches(r'^\w+$')`, true],
  ['self.size > 3 ? "big" : "small"', 'big'],
  ['has(self.size) && !has(self.other)', true],
  ["self.size >= int(self.cidr.split('/')[1])", false],
  ["self.cidr.contains(':') || self.size <= 32", true],
  ['self.cidrs.all(c, isCIDR(c))', true],
  ["self.cidrs.exists(c, c.startsWith('fd'))", true],
  ["self.cidrs.exists_one(c, c.endsWith('/8'))", false],
  ['self.entries.map(e, e.name)', ['x', 'y']],
  ['self.entries.map(e, e.value > 1, e.name)', ['y']],
  ['self.entries.filter(e, e.value == 1).size() == 1', true],
  ["'a' in self.labels && !('c' in self.labels)", true],
  ['self.labels.all(k, size(self.labels[k]) == 1)', true],
  ["'10.0.0.0/8' in self.cidrs", true],
  ['[1, 2] + [3]', [1, 2, 3]],
  ["{'a': 1}.a", 1],
  ["self['name']", 'a'],
  ['false && self.other == 1', false],
  ['self.other == 1 && false', false],
  ['self.other == 1 || true', true],
  ["isIP('::1') && !isIP('10.0.0.0/8')", true],
  ['string(self.size) + self.name.upperAscii()', '4A'],
] as const)
  test(text, () => {
    assert.deepEqual(evaluate(parseExpression(text), { self }), want)
  })

for (const [text, want] of [
  ['self.other', /^no such key: other$/],
  ['self.cidrs[9]', /^index out of bounds: 9$/],
  ["self.size + 'a'", /^no such overload$/],
  ["self.size < 'a'", /^no such overload$/],
  ["int('x')", /^type conversion error/],
  ['1 / 0', /^division by zero$/],
] as const)
  test(`${text} fails`, () => {
    assert.throws(() => evaluate(parseExpression(text), { self }), { message: want })
  })

for (const text of ['', '1 +', '(1', 'a b', "'open", 'a.(b)', '#'])
  test(`"${text}" is no expression`, () => {
    assert.throws(() => parseExpression(text), /Syntax error/)
  })

test('what is not known is named, and so is what is used', () => {
  assert.deepEqual(unknownIn(parseExpression('self.all(x, x == y) && quantity(self) == 1'), ['self']), [
    'y',
    'quantity',
  ])
  assert.equal(uses(parseExpression('self.a == oldSelf.a'), 'oldSelf'), true)
  assert.equal(uses(parseExpression("self.oldSelf == 'oldSelf'"), 'oldSelf'), false)
})
