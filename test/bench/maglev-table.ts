/** `maglev-table`: how long a table of the default size takes, how evenly it shares its slots, and what a removal moves. */
import { DEFAULT_TABLE_SIZE, maglevTable } from '../../daemon/service/maglev.ts'
import { against, type Bench, type BenchContext, type Result } from './bench.ts'

const NAME = 'maglev-table'
const BACKENDS = 100
const SEED = 'causeway'
const UNEQUAL = [1, 2, 5, 10]
/** Tables a sample: one takes less than the clock's noise. */
const TABLES = 20

export const maglevTableBench: Bench = {
  name: NAME,
  summary: 'building the table of a service: time, spread of slots, flows moved when a backend leaves or joins',
  async *run(context): AsyncIterable<Result> {
    yield against({ bench: NAME, case: `${BACKENDS} backends, time`, unit: 'ms' }, times(context), 1.5)
    const counts = countsOf(candidates(BACKENDS))
    const spread = Math.max(...counts) - Math.min(...counts)
    yield against({ bench: NAME, case: 'spread at equal weights', unit: 'slots' }, [spread], 1)
    yield against({ bench: NAME, case: 'spread at unequal weights', unit: 'slots' }, [unequalSpread()], 2)
    // Of all slots, beside those of the backend itself: the least possible is none.
    yield against({ bench: NAME, case: 'moved by a removal, mean', unit: '% of slots' }, [mean(removals())], 1.4)
    yield { bench: NAME, case: 'moved by a joining', ours: joining(), unit: '% of slots', samples: 1 }
  },
}

function times(context: BenchContext): number[] {
  const all = candidates(BACKENDS)
  const sample = (): number => {
    const started = performance.now()
    for (let i = 0; i < TABLES; i++) maglevTable(all, DEFAULT_TABLE_SIZE, `${SEED}${i}`)
    return (performance.now() - started) / TABLES
  }
  sample()
  return Array.from({ length: context.rounds }, sample)
}

function candidates(count: number, weight: (i: number) => number = () => 1) {
  return Array.from({ length: count }, (_, i) => ({ name: `10.1.${i >> 8}.${i & 255}:80/TCP`, weight: weight(i) }))
}

function countsOf(of: ReturnType<typeof candidates>): number[] {
  const counts = of.map(() => 0)
  for (const owner of maglevTable(of, DEFAULT_TABLE_SIZE, SEED)) counts[owner] = (counts[owner] ?? 0) + 1
  return counts
}

/** The largest distance of a backend's slots from its share. */
function unequalSpread(): number {
  const weight = (i: number): number => UNEQUAL[i % UNEQUAL.length] ?? 1
  const of = candidates(BACKENDS, weight)
  const total = of.reduce((sum, candidate) => sum + candidate.weight, 0)
  return Math.max(...countsOf(of).map((n, i) => Math.abs(n - (DEFAULT_TABLE_SIZE * weight(i)) / total)))
}

function namesBySlot(of: ReturnType<typeof candidates>): (string | undefined)[] {
  return [...maglevTable(of, DEFAULT_TABLE_SIZE, SEED)].map(i => of[i]?.name)
}

function moved(before: readonly (string | undefined)[], after: readonly (string | undefined)[], own: string): number {
  const others = before.filter((name, slot) => name !== own && after[slot] !== own && name !== after[slot])
  return (100 * others.length) / before.length
}

function removals(): number[] {
  const all = candidates(BACKENDS)
  const before = namesBySlot(all)
  return all.map(leaving => moved(before, namesBySlot(all.filter(c => c !== leaving)), leaving.name))
}

function joining(): number {
  const all = candidates(BACKENDS + 1)
  return moved(namesBySlot(all.slice(0, -1)), namesBySlot(all), all.at(-1)?.name ?? '')
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0) / numbers.length
}
