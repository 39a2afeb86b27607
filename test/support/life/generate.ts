/** Random lives of pods on a node, from a seed: the same seed gives the same life. */
import { ADD_STEPS, DEL_STEPS, type Step } from '../../../daemon/endpoint/steps.ts'
import { Random } from '../random.ts'

export type Single = { readonly kind: 'add' | 'del' | 'remove-namespace'; readonly pod: string }
export type Simple = Single | { readonly kind: 'together'; readonly all: readonly Single[] }

/** GC that spares all living pods but one. */
export type Collection = { readonly kind: 'gc'; readonly without: string }

export type Happening =
  | Simple
  | Collection
  | { readonly kind: 'check'; readonly pod: string }
  | { readonly kind: 'kill' }
  /** A start, which dies at a step of replaying queued DELs. */
  | { readonly kind: 'restart'; readonly dieAt?: Step }
  /** A start that is killed after so many moments, wherever it is by then. */
  | { readonly kind: 'stumble'; readonly after: number }
  /** The daemon is killed so many moments after the verbs were called. */
  | { readonly kind: 'kill-amid'; readonly after: number; readonly during: Simple | Collection }
  | { readonly kind: 'die'; readonly step: Step; readonly nth: number; readonly during: Simple | Collection }
  | { readonly kind: 'refuse'; readonly nth: number; readonly during: Simple }

/** A life of `length` happenings among `pods`. */
export function generateLife(seed: number, length: number, pods: readonly string[]): Happening[] {
  const random = new Random(seed)
  const one = (): Single => {
    const roll = random.below(100)
    return { kind: roll < 55 ? 'add' : roll < 90 ? 'del' : 'remove-namespace', pod: random.pick(pods) }
  }
  const simple = (): Simple =>
    random.below(100) < 70 ? one() : { kind: 'together', all: Array.from({ length: 2 + random.below(4) }, one) }
  const amid = (): Simple | Collection =>
    random.below(100) < 90 ? simple() : { kind: 'gc', without: random.pick(pods) }
  const happening = (): Happening => {
    const roll = random.below(100)
    if (roll < 42) return simple()
    if (roll < 52) return { kind: 'check', pod: random.pick(pods) }
    if (roll < 57) return { kind: 'gc', without: random.pick(pods) }
    if (roll < 61) return { kind: 'kill' }
    if (roll < 65) return { kind: 'restart' }
    if (roll < 68) return { kind: 'restart', dieAt: random.pick(DEL_STEPS) }
    if (roll < 70) return { kind: 'stumble', after: random.below(500) }
    if (roll < 78) return { kind: 'kill-amid', after: random.below(25), during: amid() }
    if (roll >= 90) return { kind: 'refuse', nth: 1 + random.below(14), during: simple() }
    const during = amid()
    const step = random.pick(stepsOf(during))
    return { kind: 'die', step, nth: during.kind === 'together' ? 1 + random.below(2) : 1, during }
  }
  return Array.from({ length }, happening)
}

/** The steps that verbs pass. */
function stepsOf(during: Simple | Collection): readonly Step[] {
  const kinds = during.kind === 'together' ? during.all.map(each => each.kind) : [during.kind]
  if (kinds.every(kind => kind === 'remove-namespace')) return [...ADD_STEPS, ...DEL_STEPS]
  return [
    ...(kinds.includes('add') ? ADD_STEPS : []),
    ...(kinds.some(kind => kind === 'del' || kind === 'gc') ? DEL_STEPS : []),
  ]
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
    case 'stumble':
      return `restart killed after ${happening.after}`
    case 'kill-amid':
      return `killed ${happening.after} after ${printHappening(happening.during)} began`
    case 'die':
      return `die at ${happening.step}:${happening.nth} during ${printHappening(happening.during)}`
    case 'refuse':
      return `refuse request ${happening.nth} during ${printHappening(happening.during)}`
  }
}
