/** Random lives of pods on a node, from a seed: the same seed gives the same life. */
import { ADD_STEPS, DEL_STEPS, type Step } from '../../../daemon/endpoint/steps.ts'

export type Simple =
  | { readonly kind: 'add' | 'del' | 'remove-namespace'; readonly pod: string }
  | { readonly kind: 'together'; readonly all: readonly Simple[] }

export type Happening =
  | Simple
  | { readonly kind: 'check'; readonly pod: string }
  /** GC that spares all living pods but one. */
  | { readonly kind: 'gc'; readonly without: string }
  | { readonly kind: 'kill' }
  /** A start, which is killed at a step of replaying queued DELs. */
  | { readonly kind: 'restart'; readonly dieAt?: Step }
  | { readonly kind: 'die'; readonly step: Step; readonly nth: number; readonly during: Simple }
  | { readonly kind: 'refuse'; readonly nth: number; readonly during: Simple }

/** Numbers from 0 to below 1 (mulberry32, public domain). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A life of `length` happenings among `pods`. */
export function generateLife(seed: number, length: number, pods: readonly string[]): Happening[] {
  const random = randomFrom(seed)
  const pick = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }
  const upTo = (n: number): number => 1 + Math.floor(random() * n)
  const one = (): Simple => {
    const roll = random()
    return { kind: roll < 0.55 ? 'add' : roll < 0.9 ? 'del' : 'remove-namespace', pod: pick(pods) }
  }
  const simple = (): Simple =>
    random() < 0.7 ? one() : { kind: 'together', all: Array.from({ length: 1 + upTo(4) }, one) }
  const happening = (): Happening => {
    const roll = random()
    if (roll < 0.42) return simple()
    if (roll < 0.52) return { kind: 'check', pod: pick(pods) }
    if (roll < 0.57) return { kind: 'gc', without: pick(pods) }
    if (roll < 0.63) return { kind: 'kill' }
    if (roll < 0.7) return random() < 0.7 ? { kind: 'restart' } : { kind: 'restart', dieAt: pick(DEL_STEPS) }
    if (roll < 0.9) return { kind: 'die', step: pick([...ADD_STEPS, ...DEL_STEPS]), nth: upTo(2), during: simple() }
    return { kind: 'refuse', nth: upTo(14), during: simple() }
  }
  return Array.from({ length }, happening)
}

/** One happening as a line, for the account of a failed life. */
export function printHappening(happening: Happening): string {
  switch (happening.kind) {
    case 'add':
    case 'del':
    case 'check':
    case 'remove-namespace':
      return `${happening.kind} ${happening.pod}`
    case 'together':
      return `together(${happening.all.map(printHappening).join(', ')})`
    case 'gc':
      return `gc without ${happening.without}`
    case 'kill':
      return 'kill'
    case 'restart':
      return happening.dieAt === undefined ? 'restart' : `restart dying at ${happening.dieAt}`
    case 'die':
      return `die at ${happening.step}:${happening.nth} during ${printHappening(happening.during)}`
    case 'refuse':
      return `refuse request ${happening.nth} during ${printHappening(happening.during)}`
  }
}
