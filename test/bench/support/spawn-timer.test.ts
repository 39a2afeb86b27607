import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Stage, spawnArguments, timeSpawns } from './spawn-timer.ts'

const shell = (script: string, env: Readonly<Record<string, string>> = {}): Stage => {
  return { env, input: '/dev/null', command: ['/bin/sh', '-c', script] }
}

test('stages are words: environment, input, command', () => {
  const stages = [shell('one', { A: '1', B: 'x{}' }), shell('two')]
  assert.equal(
    spawnArguments(stages, { runs: 3, parallel: true, first: 7 }).join(' '),
    '--parallel --first 7 3 A=1 B=x{} </dev/null /bin/sh -c one + </dev/null /bin/sh -c two',
  )
})

for (const parallel of [false, true])
  test(`runs are numbered and timed each for itself${parallel ? ', also at once' : ''}`, async () => {
    // The run whose number is 6 takes longer than the others.
    const stages = [shell('[ "$RUN" = 6 ] && sleep 0.2; exit 0', { RUN: '{}', PATH: '/bin:/usr/bin' }), shell('exit 0')]
    const { ms, cpuMs, totalMs, maxRssKib } = await timeSpawns(stages, { runs: 3, first: 5, parallel })
    assert.ok((ms[1] ?? 0) > 200 && ms.every(each => each > 0), ms.join(' '))
    assert.equal(cpuMs.length, 3)
    assert.ok(totalMs > 200)
    assert.ok(maxRssKib > 100)
  })

test('a stage that fails ends its run and is told with what it wrote', async () => {
  const stages = [shell('echo broken; exit 3'), shell('echo never reached')]
  await assert.rejects(timeSpawns(stages, { runs: 1 }), /sh: status 0x300: broken\n/)
})
