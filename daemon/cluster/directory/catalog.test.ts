import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Catalog } from './catalog.ts'

const node = (name: string, cidr = '10.0.0.0/24'): string =>
  `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\nspec:\n  podCIDRs:\n  - ${cidr}\n`

function catalog(files: Readonly<Record<string, string>>): Catalog {
  const made = new Catalog()
  for (const [file, text] of Object.entries(files)) made.read(file, text)
  return made
}
const names = (of: Catalog): string[] => of.contents().nodes.map(row => row.name)
const problems = (of: Catalog): string[] => of.contents().problems.map(({ place, message }) => `${place}: ${message}`)

test('several documents, lists and JSON are read alike', () => {
  const json =
    '{\n\t"apiVersion": "v1",\n\t"kind": "List",\n\t"items": [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "c"}}]\n}\n'
  const files = catalog({ 'a.yaml': `# only a comment\n---\n${node('a')}---\n${node('b')}---\n`, 'c.json': json })
  assert.deepEqual(names(files), ['a', 'b', 'c'])
  assert.deepEqual(problems(files), [])
  assert.deepEqual(files.contents().unknown, [])
})

const bad: readonly (readonly [what: string, text: string, problem: string])[] = [
  [
    'YAML that cannot be read',
    `${node('a')}---\nkind: [\n`,
    'f:10: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a field', node('a', 'nonsense'), "f:7: spec.podCIDRs[0]: 'nonsense' is no prefix: /length is missing"],
  [
    'a missing field, by the nearest that is there',
    'apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n',
    'f:3: metadata.name: is missing',
  ],
  [
    'an item of a list',
    `apiVersion: v1\nkind: List\nitems:\n- ${node('b').replaceAll('\n', '\n  ').trim()}\n- kind: Pod\n`,
    'f:11: items[1]: has no apiVersion',
  ],
  [
    'half an object, as an interrupted write leaves it',
    node('a').slice(0, 40),
    'f:3: metadata: must be a group of fields',
  ],
  [
    'an alias bomb',
    'a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n',
    'f:1: not usable YAML: Excessive alias count indicates a resource exhaustion attack',
  ],
]
for (const [what, text, problem] of bad) {
  test(`a problem names file and line: ${what}`, () => assert.deepEqual(problems(catalog({ f: text })), [problem]))
}

test('a file that turns bad keeps the objects of its last good state', () => {
  const files = catalog({ f: node('a') + '---\n' + node('b') })
  files.read('f', node('a') + '---\nkind: [')
  assert.deepEqual(names(files), ['a', 'b'])
  assert.equal(problems(files).length, 1)
  assert.deepEqual(files.contents().unknown, [])
  files.read('f', node('b'))
  assert.deepEqual(names(files), ['b'])
  assert.deepEqual(problems(files), [])
})

const EMPTIED = 'f: holds no object: what it held before stays until it has content or is removed'
for (const [what, text] of [
  ['emptied', ''],
  ['left with nothing but blanks', ' \n\n'],
  ['left with nothing but a comment', '# all nodes\n---\n'],
] as const) {
  test(`a file that is ${what} keeps its objects until it is removed`, () => {
    const files = catalog({ f: node('a') })
    files.read('f', text)
    assert.deepEqual([names(files), problems(files), files.contents().unknown], [['a'], [EMPTIED], []])
    files.delete('f')
    assert.deepEqual([names(files), problems(files)], [[], []])
  })
}

test('a list without items takes the objects of its file away', () => {
  const files = catalog({ f: node('a') })
  files.read('f', 'apiVersion: v1\nitems: []\nkind: List\n')
  assert.deepEqual([names(files), problems(files)], [[], []])
})

test('a file that is empty from the start says nothing, and one with a comment that there is nothing', () => {
  const empty = catalog({ f: '' })
  assert.deepEqual([problems(empty), empty.contents().unknown], [[EMPTIED], ['f']])
  const comment = catalog({ f: '# nothing yet\n' })
  assert.deepEqual([problems(comment), comment.contents().unknown], [[], []])
})

test('a file that was never good counts with what can be read of it, and the catalog says so', () => {
  const files = catalog({ f: node('a') + '---\nkind: [' })
  assert.deepEqual(names(files), ['a'])
  assert.deepEqual(files.contents().unknown, ['f'])
  files.delete('f')
  assert.deepEqual(names(files), [])
  assert.deepEqual(files.contents().unknown, [])
})

test('of an object in two files the first by name counts, whatever the order of reading', () => {
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const files = catalog(
      Object.fromEntries(order.map(file => [file, node('n', file === 'a' ? '10.1.0.0/24' : '10.2.0.0/24')])),
    )
    assert.deepEqual(
      files.contents().nodes.map(row => row.podCidrs),
      [['10.1.0.0/24']],
    )
    assert.deepEqual(problems(files), ['b:1: Node n stands at a:1 too, which counts'])
  }
})

test('when the winner vanishes the other one counts', () => {
  const files = catalog({ a: node('n', '10.1.0.0/24'), b: node('n', '10.2.0.0/24') })
  files.delete('a')
  assert.deepEqual(
    files.contents().nodes.map(row => row.podCidrs),
    [['10.2.0.0/24']],
  )
  assert.deepEqual(problems(files), [])
})

test('a file that cannot be read keeps its objects', () => {
  const files = catalog({ f: node('a') })
  files.unusable('f', 'cannot be read: EACCES')
  assert.deepEqual(names(files), ['a'])
  assert.deepEqual(problems(files), ['f: cannot be read: EACCES'])
})
