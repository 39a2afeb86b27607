/** Rendezvous hashing (Thaler and Ravishankar 1998): who chooses asks nobody, and who goes moves only its own. */
import { createHash } from 'node:crypto'

/** Of some names the one with the greatest number for a key; undefined when there are none. */
export function choose(key: string, names: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly weight: bigint } | undefined
  for (const name of names) {
    const weight = weightOf(key, name)
    if (best === undefined || weight > best.weight || (weight === best.weight && name < best.name))
      best = { name, weight }
  }
  return best?.name
}

function weightOf(key: string, name: string): bigint {
  return createHash('sha256').update(key).update('\0').update(name).digest().readBigUInt64BE()
}
