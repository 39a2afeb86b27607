import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorText } from './error-text.ts'

const cases: readonly (readonly [what: string, error: unknown, text: string])[] = [
  ['an error alone', new Error('a'), 'a'],
  ['what is no error', 'a', 'a'],
  ['causes, each once', new Error('a', { cause: new Error('b', { cause: new Error('b') }) }), 'a: b'],
  ['a cause that the message has', new Error('a: b', { cause: new Error('b') }), 'a: b'],
  ['gathered errors', new AggregateError([new Error('b'), new Error('c')], 'a'), 'a: b: c'],
  [
    'what went wrong while something else was undone',
    new SuppressedError(new Error('undo', { cause: new Error('busy') }), new Error('start'), 'An error was suppressed'),
    'start\nand then: undo: busy',
  ],
]
for (const [what, error, text] of cases) {
  test(`the text of an error has ${what}`, () => assert.equal(errorText(error), text))
}
