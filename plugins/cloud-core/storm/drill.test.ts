import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drill } from './drill.ts'

const NEVER = Infinity

for (const cloud of ['aws', 'azure', 'gcp'] as const)
  test(`whatever a leader over ${cloud} has just done when it dies, the next one brings it to its end`, () => {
    const steps = drill(cloud, NEVER)
    assert.ok(steps > 20, `${steps} steps`)
    const failed: string[] = []
    for (let step = 0; step < steps; step++)
      try {
        drill(cloud, step)
      } catch (error) {
        failed.push(`step ${step} of ${steps}: ${error instanceof Error ? error.message : ''}`)
      }
    assert.deepEqual(failed, [])
  })
