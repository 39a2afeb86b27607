import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtInShape } from '../kinds/shape.ts'
import type { Json, JsonObject } from '../objects/json.ts'
import { jsonPatch } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { strategicMerge } from './strategic-merge.ts'

// The examples of RFC 7396, appendix A.
const MERGES: readonly (readonly [target: Json, patch: Json, want: Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]
for (const [target, patch, want] of MERGES)
  test(`merge: ${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () => {
    assert.deepEqual(mergePatch(target, patch), want)
  })

// After the examples of RFC 6902, appendix A.
const STEPS: readonly (readonly [target: Json, step: JsonObject, want: Json | RegExp])[] = [
  [{ foo: 'bar' }, { op: 'add', path: '/baz', value: 'qux' }, { baz: 'qux', foo: 'bar' }],
  [{ foo: ['bar', 'baz'] }, { op: 'add', path: '/foo/1', value: 'qux' }, { foo: ['bar', 'qux', 'baz'] }],
  [{ foo: ['bar'] }, { op: 'add', path: '/foo/-', value: ['x'] }, { foo: ['bar', ['x']] }],
  [{ baz: 'qux', foo: 'bar' }, { op: 'remove', path: '/baz' }, { foo: 'bar' }],
  [{ foo: ['a', 'b', 'c'] }, { op: 'remove', path: '/foo/1' }, { foo: ['a', 'c'] }],
  [{ baz: 'qux' }, { op: 'replace', path: '/baz', value: 'boo' }, { baz: 'boo' }],
  [
    { a: { b: 1 }, c: {} },
    { op: 'move', from: '/a/b', path: '/c/d' },
    { a: {}, c: { d: 1 } },
  ],
  [{ a: [1, 2, 3] }, { op: 'move', from: '/a/0', path: '/a/2' }, { a: [2, 3, 1] }],
  [{ a: { b: 1 } }, { op: 'copy', from: '/a', path: '/c' }, { a: { b: 1 }, c: { b: 1 } }],
  [{ 'a/b': 1, 'm~n': 2 }, { op: 'remove', path: '/a~1b' }, { 'm~n': 2 }],
  [{ a: 1 }, { op: 'test', path: '/a', value: 2 }, /testing value \/a failed/],
  [{ a: 1 }, { op: 'remove', path: '/b' }, /missing path: \/b/],
  [{ a: 1 }, { op: 'add', path: '/b/c', value: 1 }, /missing path: \/b/],
  [{ a: [] }, { op: 'add', path: '/a/3', value: 1 }, /invalid array index: 3/],
]
for (const [target, step, want] of STEPS)
  test(`JSON patch: ${JSON.stringify(step)} on ${JSON.stringify(target)}`, () => {
    if (want instanceof RegExp) assert.throws(() => jsonPatch(target, [step]), want)
    else assert.deepEqual(jsonPatch(target, [step]), want)
  })

const pod = (...containers: Json[]): JsonObject => ({ spec: { containers } })
const POD = builtInShape('', 'Pod')
const NODE = builtInShape('', 'Node')
const STRATEGIC: readonly (readonly [what: string, target: JsonObject, patch: JsonObject, want: JsonObject])[] = [
  [
    'entries are merged by their key',
    pod({ name: 'a', image: '1' }, { name: 'b' }),
    pod({ name: 'a', image: '2' }, { name: 'c' }),
    pod({ name: 'a', image: '2' }, { name: 'b' }, { name: 'c' }),
  ],
  ['an entry is deleted', pod({ name: 'a' }, { name: 'b' }), pod({ $patch: 'delete', name: 'a' }), pod({ name: 'b' })],
  ['a list is replaced', pod({ name: 'a' }), pod({ $patch: 'replace' }, { name: 'b' }), pod({ name: 'b' })],
  [
    'entries are put in order',
    pod({ name: 'a' }, { name: 'b' }),
    { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
    pod({ name: 'b' }, { name: 'a' }),
  ],
  [
    'lists in entries are merged too',
    pod({ name: 'a', ports: [{ containerPort: 80 }] }),
    pod({ name: 'a', ports: [{ containerPort: 81 }] }),
    pod({ name: 'a', ports: [{ containerPort: 80 }, { containerPort: 81 }] }),
  ],
  [
    'a list without a key is replaced',
    pod({ name: 'a', args: ['x'] }),
    pod({ name: 'a', args: ['y'] }),
    pod({ name: 'a', args: ['y'] }),
  ],
  [
    'values of a set are deleted by name',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] } },
    { metadata: { finalizers: ['b', 'c'] } },
  ],
  [
    'only what is to be kept is',
    { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] } },
    { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
  ],
  [
    'null removes',
    { metadata: { labels: { a: '1', b: '2' } } },
    { metadata: { labels: { a: null } } },
    { metadata: { labels: { b: '2' } } },
  ],
]
for (const [what, target, patch, want] of STRATEGIC)
  test(`strategic merge: ${what}`, () => {
    assert.deepEqual(strategicMerge(target, patch, POD), want)
  })

test('strategic merge: an entry must say which it is', () => {
  assert.throws(
    () => strategicMerge(pod({ name: 'a' }), pod({ image: 'x' }), POD),
    /does not contain declared merge key: name/,
  )
})

test('strategic merge: taints of a node are replaced, its conditions are not', () => {
  const target = { spec: { taints: [{ key: 'a' }] }, status: { conditions: [{ type: 'A' }] } }
  const patch = { spec: { taints: [{ key: 'b' }] }, status: { conditions: [{ type: 'B' }] } }
  const want = { spec: { taints: [{ key: 'b' }] }, status: { conditions: [{ type: 'A' }, { type: 'B' }] } }
  assert.deepEqual(strategicMerge(target, patch, NODE), want)
})
