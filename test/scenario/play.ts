/** Plays a story's steps to the directory source as the daemon runs it, in a directory of its own. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDirectorySource } from '../../daemon/cluster/directory/source.ts'
import type { Tables } from '../../daemon/state/tables.ts'
import type { Step } from './story.ts'

/** Between writing a file and finding it read; what takes longer hangs. */
const SCANNED_MS = 10_000

/** What a story is told about. */
export interface Stage {
  readonly tables: Tables
  /** What the story expects at a step; `problems` are lines that each end in a newline. */
  readonly describe: (tables: Tables, problems: readonly string[]) => string | Promise<string>
  /** Gives the node's uplink the addresses of such a step. */
  readonly setAddresses?: (text: string) => void
}

/** Carries the steps out and returns them with what the stage describes wherever the story expects something. */
export async function play(steps: readonly Step[], { tables, describe, setAddresses }: Stage): Promise<Step[]> {
  const directory = mkdtempSync(join(tmpdir(), 'cw-story-'))
  const silent = { debug() {}, info() {}, warn() {}, error() {} }
  const source = createDirectorySource({ directory, tables, log: silent, settleMs: 5 })
  const stop = new AbortController()
  let running: Promise<void> | undefined
  const told: Step[] = []
  try {
    for (const [index, step] of steps.entries()) {
      if (step.kind === 'write') writeFileSync(join(directory, step.file), step.text)
      if (step.kind === 'delete') rmSync(join(directory, step.file))
      if (step.kind === 'addresses') setAddresses?.(step.text)
      if (step.kind !== 'expect') told.push(step)
      else {
        // The files before the first look are there when the source starts.
        running ??= source.run(stop.signal)
        await scanned(directory, tables, `marker-${index}`)
        const problems = source.problems().map(p => `${p.place}: ${p.message}\n`.replaceAll(`${directory}/`, ''))
        told.push({ kind: 'expect', text: await describe(tables, problems) })
      }
    }
  } finally {
    stop.abort()
    await running
    rmSync(directory, { recursive: true })
  }
  return told
}

/** A marker that is seen proves that everything written before it has been read; its going, that the rest settled. */
async function scanned(directory: string, tables: Tables, name: string): Promise<void> {
  const file = join(directory, 'zz-marker.yaml')
  writeFileSync(file, `{apiVersion: v1, kind: Node, metadata: {name: ${name}}}`)
  await until(tables, () => tables.nodes.get(name) !== undefined)
  rmSync(file)
  await until(tables, () => tables.nodes.get(name) === undefined)
}

/** Rejects when it takes too long. */
async function until({ nodes }: Tables, condition: () => boolean): Promise<void> {
  const late = AbortSignal.timeout(SCANNED_MS)
  while (!condition()) await Promise.race([nodes.changed(), once(late, 'abort').then(() => late.throwIfAborted())])
}
