/** A look at everything in parts, such as accounts: one that nobody may look at keeps nothing of the others from being seen. */
import { eachAtMost } from './each-at-most.ts'
import type { FailureKind } from './model.ts'
import { CloudFailure, type Machine } from './provider.ts'

export interface SweepPart {
  readonly machines: readonly Machine[]
}

export interface PartsSwept<R> {
  readonly found: readonly R[]
  /** Ids of machines of parts that were looked at. */
  readonly machines: readonly string[]
  /** Why others were not, for people. */
  readonly missing: readonly string[]
}

/** Of these a part has its own; any other failure may be of all. */
const OF_ITS_OWN: ReadonlySet<FailureKind> = new Set(['denied', 'invalid', 'gone'])

/** So many parts at a time. Throws CloudFailure when no part could be looked at, or for what is not a part's own. */
export async function sweepParts<P extends SweepPart, R>(
  atOnce: number,
  parts: readonly P[],
  look: (part: P) => Promise<R>,
): Promise<PartsSwept<R>> {
  const answers = await eachAtMost(atOnce, parts, async part => {
    const answer = await look(part).catch((error: unknown) => {
      if (error instanceof CloudFailure && OF_ITS_OWN.has(error.kind)) return error
      throw error
    })
    return { part, answer }
  })
  const found: R[] = []
  const machines: string[] = []
  const failures: CloudFailure[] = []
  for (const { part, answer } of answers) {
    if (answer instanceof CloudFailure) failures.push(answer)
    else {
      found.push(answer)
      machines.push(...part.machines.map(({ id }) => id))
    }
  }
  const [first] = failures
  if (first !== undefined && failures.length === parts.length) throw first
  return { found, machines, missing: failures.map(({ message }) => message) }
}
