/**
 * Nothing is lost, given twice or left over, whatever happens: many storms, each from a seed. A seed that fails is named;
 * `STORM=aws:17 node test/run.ts plugins/cloud-core/storm.test.ts` runs it alone and prints what happened in it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Violation } from './storm/ledger.ts'
import { Storm } from './storm/storm.ts'
import type { CloudName } from './storm/weather.ts'

const SEEDS = Number(process.env['STORM_SEEDS'] ?? 200)
const [ALONE, SEED] = (process.env['STORM'] ?? '').split(':')

for (const cloud of ['aws', 'azure', 'gcp'] as const)
  test(`no storm over ${cloud} makes an address be lost, given twice or left over`, () => {
    const seeds = ALONE === cloud ? [Number(SEED)] : ALONE === '' ? Array.from({ length: SEEDS }, (_, n) => n + 1) : []
    const failed = seeds.flatMap(seed => problemOf(cloud, seed) ?? [])
    assert.deepEqual(failed, [])
  })

function problemOf(cloud: CloudName, seed: number): string | undefined {
  const trace: string[] = []
  const alone = ALONE === cloud
  try {
    new Storm({ cloud, seed, ...(alone ? { trace: (line: string) => trace.push(line) } : {}) }).run()
    return undefined
  } catch (error) {
    if (trace.length > 0) console.log(trace.join('\n'))
    return `STORM=${cloud}:${seed} ${error instanceof Violation ? error.message : error instanceof Error ? error.stack : ''}`
  }
}
