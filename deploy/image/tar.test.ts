import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { tar } from './tar.ts'
import { type Entry, EXECUTABLE, linkTo, textOf, type Tree } from './tree.ts'

const LONG = `${'folder-with-a-long-name/'.repeat(5)}file`

function archive(tree: Tree, seconds = 0): Buffer {
  return Buffer.concat([...tar(tree, seconds)])
}
const tree = (entries: Readonly<Record<string, Entry>>): Tree => new Map(Object.entries(entries))

test('tar reads it: folders first, in the order of their paths, all of root and of one time', () => {
  const made = archive(
    tree({
      'usr/bin/b': textOf('two\n', EXECUTABLE),
      'usr/bin/a': linkTo('b'),
      tmp: { kind: 'directory', mode: 0o1777 },
      [LONG]: textOf(''),
    }),
    86_400,
  )
  const listed = execFileSync('tar', ['--utc', '--numeric-owner', '-tvf', '-'], { input: made, encoding: 'utf8' })
  assert.equal(
    listed.replace(/ +/g, ' ').replaceAll('folder-with-a-long-name/', 'f/'),
    `drwxr-xr-x 0/0 0 1970-01-02 00:00 f/
drwxr-xr-x 0/0 0 1970-01-02 00:00 f/f/
drwxr-xr-x 0/0 0 1970-01-02 00:00 f/f/f/
drwxr-xr-x 0/0 0 1970-01-02 00:00 f/f/f/f/
drwxr-xr-x 0/0 0 1970-01-02 00:00 f/f/f/f/f/
-rw-r--r-- 0/0 0 1970-01-02 00:00 f/f/f/f/f/file
drwxrwxrwt 0/0 0 1970-01-02 00:00 tmp/
drwxr-xr-x 0/0 0 1970-01-02 00:00 usr/
drwxr-xr-x 0/0 0 1970-01-02 00:00 usr/bin/
lrwxrwxrwx 0/0 0 1970-01-02 00:00 usr/bin/a -> b
-rwxr-xr-x 0/0 4 1970-01-02 00:00 usr/bin/b
`,
  )
  assert.equal(execFileSync('tar', ['-xOf', '-', 'usr/bin/b'], { input: made, encoding: 'utf8' }), 'two\n')
})

test('the order in which files were named does not matter', () => {
  assert.deepEqual(archive(tree({ b: textOf('b'), a: textOf('a') })), archive(tree({ a: textOf('a'), b: textOf('b') })))
})

test('what does not fit is refused', () => {
  assert.throws(() => archive(tree({ ['x'.repeat(101)]: textOf('') })), RangeError)
  assert.throws(() => archive(tree({ a: linkTo('x'.repeat(101)) })), RangeError)
  assert.throws(() => archive(tree({ a: textOf(''), 'a/b': textOf('') })), /a is no folder of a\/b/)
})
