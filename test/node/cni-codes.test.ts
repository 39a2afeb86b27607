/** cni/README.md is where people look up an error code: it lists each one that can be given, once. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { codes } from '../../cni/failure.ts'
import { CNI_CODES } from '../../daemon/api/cni-codes.ts'

test('README lists every code of the executable and the daemon once, in order, with who gives it', async () => {
  const readme = await readFile(new URL('../../cni/README.md', import.meta.url), 'utf8')
  const rows = [...readme.matchAll(/^\| (\d+) +\| (executable|daemon|both|–) +\| \S/gm)]
  const listed = rows.map(([, code, from]) => `${code} ${from}`)
  const executable: ReadonlySet<number> = new Set(Object.values(codes))
  const daemon: ReadonlySet<number> = new Set(Object.values(CNI_CODES))
  const reserved = [1, 2, 3, 4, 5, 6, 7, 11, 50, 51]
  const all = [...new Set([...reserved, ...executable, ...daemon])].sort((a, b) => a - b)
  const giver = (code: number) => {
    if (executable.has(code)) return daemon.has(code) ? 'both' : 'executable'
    return daemon.has(code) ? 'daemon' : '–'
  }
  assert.deepEqual(
    listed,
    all.map(code => `${code} ${giver(code)}`),
  )
})
