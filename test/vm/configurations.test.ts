import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configurations, PARAMETERS, pairwise } from './guest/configurations.ts'

const COUNTS: readonly (readonly number[])[] = [[2, 2], [2, 2, 2, 2], [3, 2, 5], PARAMETERS.map(p => p.levels.length)]
for (const counts of COUNTS)
  test(`rows for ${counts.join(' × ')} levels have each two levels of different parameters meet`, () => {
    const rows = pairwise(counts)
    for (let a = 0; a < counts.length; a++)
      for (let b = a + 1; b < counts.length; b++) {
        const met = new Set(rows.map(row => `${row[a]} ${row[b]}`))
        assert.equal(met.size, (counts[a] ?? 0) * (counts[b] ?? 0), `parameters ${a} and ${b}`)
      }
  })

test('pairs take far fewer rows than all combinations', () => {
  assert.equal(pairwise([2, 2, 2, 2]).length <= 6, true)
  assert.equal(pairwise([3, 2, 5]).length, 15)
})

test('each configuration has a name of its own, and all but the compiled one give the same constants', () => {
  const all = configurations()
  assert.equal(new Set(all.map(c => c.name)).size, all.length)
  const off = Object.keys(all.find(c => c.name === 'off')?.values ?? {}).sort()
  for (const { name, values } of all.filter(c => c.name === 'on' || c.name.startsWith('pairs')))
    assert.deepEqual(Object.keys(values).sort(), off, name)
})
