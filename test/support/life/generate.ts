/** Random lives of pods on a node, from a seed: the same seed gives the same life. */
import { ADD_STEPS, DEL_STEPS, type Step } from '../../../daemon/endpoint/steps.ts'
import { Random } from '../random.ts'

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

/** A life of `length` happenings among `pods`. */
export function generateLife(seed: number, length: number, pods: readonly string[]): Happening[] {
  const random = new Random(seed)
  const one = (): Simple => {
    const roll = random.below(100)
    return { kind: roll < 55 ? 'add' : roll < 90 ? 'del' : 'remove-namespace', pod: random.pick(pods) }
  }
  const simple = (): Simple =>
    random.below(100) < 70 ? one() : { kind: 'together', all: Array.from({ length: 2 + random.below(4) }, one) }
  const happening = (): Happening => {
    const roll = random.below(100)
    if (roll < 42) return simple()
    if (roll < 52) return { kind: 'check', pod: random.pick(pods) }
    if (roll < 57) return { kind: 'gc', without: random.pick(pods) }
    if (roll < 63) return { kind: 'kill' }
    if (roll < 68) return { kind: 'restart' }
    if (roll < 70) return { kind: 'restart', dieAt: random.pick(DEL_STEPS) }
    if (roll >= 90) return { kind: 'refuse', nth: 1 + random.below(14), during: simple() }
    const step = random.pick<Step>([...ADD_STEPS, ...DEL_STEPS])
    return { kind: 'die', step, nth: 1 + random.below(2), during: simple() }
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
