/** Pods' lives under random verbs, kills and refusals; `SEEDS=N` runs more lives, `SEED=N` replays one. */
import { test } from 'node:test'
import { generateLife, type Happening } from '../../test/support/life/generate.ts'
import { live, type LiveOptions } from '../../test/support/life/live.ts'
import { MemoryWorld } from '../../test/support/life/memory-world.ts'
import { ADD_STEPS, DEL_STEPS } from './steps.ts'

const PODS = ['a', 'b', 'c', 'd', 'e']

function optionsOf(scarce: boolean): LiveOptions {
  return { pods: PODS, families: 2, scarce, patienceMs: 2000 }
}

/** Every fourth life has fewer addresses than pods. */
async function liveSeed(seed: number): Promise<void> {
  const scarce = seed % 4 === 0
  await using world = await MemoryWorld.start({ size: scarce ? 3 : 8 }, scarce ? 20 : 5000)
  await live(world, generateLife(seed, 25, PODS), optionsOf(scarce))
}

async function replayable(seed: number): Promise<void> {
  try {
    await liveSeed(seed)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`replay: SEED=${seed} node --test daemon/endpoint/life.property.test.ts\n${text}`)
  }
}

const one = process.env['SEED']
const seeds =
  one === undefined ? Array.from({ length: Number(process.env['SEEDS'] ?? 200) }, (_, i) => i + 1) : [Number(one)]

test(`${seeds.length} random lives leave nothing over and harm no living pod`, async () => {
  for (const seed of seeds) await replayable(seed)
})

/** What a kill may hit; pods a and b live before and must live on. */
const before: readonly Happening[] = [
  { kind: 'add', pod: 'a' },
  { kind: 'add', pod: 'b' },
]
const deaths: readonly Happening[] = [
  ...ADD_STEPS.map(step => ({ kind: 'die', step, nth: 1, during: { kind: 'add', pod: 'c' } }) as const),
  ...DEL_STEPS.map(step => ({ kind: 'die', step, nth: 1, during: { kind: 'del', pod: 'b' } }) as const),
]
for (const death of deaths) {
  const { step, during } = death as Extract<Happening, { kind: 'die' }>
  test(`a daemon killed at ${step} leaves nothing half-done`, async () => {
    await using world = await MemoryWorld.start({ size: 8 }, 5000)
    const again: Happening[] = [{ kind: 'restart' }, during, { kind: 'add', pod: 'd' }]
    await live(world, [...before, death, ...again], optionsOf(false))
  })
}

for (const step of DEL_STEPS) {
  test(`a daemon killed at ${step} of replaying a queued DEL finishes it at its next start`, async () => {
    await using world = await MemoryWorld.start({ size: 8 }, 5000)
    const queued: Happening[] = [{ kind: 'kill' }, { kind: 'del', pod: 'b' }]
    await live(world, [...before, ...queued, { kind: 'restart', dieAt: step }, { kind: 'restart' }], optionsOf(false))
  })
}
