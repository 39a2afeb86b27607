/** What a guest measured, for the host: files in the folder named by GUEST_RESULTS. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** By program, then by the name of a configuration. */
export type VerifierFigures = Readonly<Record<string, Readonly<Record<string, ProgramCost>>>>
export interface ProgramCost {
  readonly instructions: number
  readonly stackBytes: number
}
/** Speed of the way between two pods over that between two hosts, by what was measured. */
export type PathFigures = Readonly<Record<string, number>>

const FILES = { verifier: 'verifier.json', path: 'path.json' } as const
interface Figures {
  readonly verifier: VerifierFigures
  readonly path: PathFigures
}

/** Nothing is kept outside a guest. */
export function keepFigures<K extends keyof Figures>(kind: K, figures: Figures[K]): void {
  const folder = process.env.GUEST_RESULTS
  if (folder !== undefined) writeFileSync(join(folder, FILES[kind]), JSON.stringify(figures))
}

/** Undefined when the guest has not come that far. */
export function readFigures<K extends keyof Figures>(kind: K, folder: string): Figures[K] | undefined {
  let text: string
  try {
    text = readFileSync(join(folder, FILES[kind]), 'utf8')
  } catch {
    return undefined
  }
  return JSON.parse(text) as Figures[K] // this project's own file
}
