/** Plays a story's steps to the directory source as the daemon runs it, in a directory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDirectorySource } from '../../daemon/cluster/directory/source.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import type { Step } from './story.ts'

/**
 * Carries the steps out and returns them with what `describe` says of the tables wherever the story expects something.
 * `problems` are lines that each end in a newline.
 */
export async function play(
  steps: readonly Step[],
  describe: (tables: Tables, problems: readonly string[]) => string,
  tables: Tables = createTables(),
): Promise<Step[]> {
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
      if (step.kind !== 'expect') told.push(step)
      else {
        // The files before the first look are there when the source starts.
        running ??= source.run(stop.signal)
        await scanned(directory, tables, `marker-${index}`)
        const problems = source.problems().map(p => `${p.place}: ${p.message}\n`.replaceAll(`${directory}/`, ''))
        told.push({ kind: 'expect', text: describe(tables, problems) })
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
  while (!tables.nodes.get(name)) await tables.nodes.changed()
  rmSync(file)
  while (tables.nodes.get(name)) await tables.nodes.changed()
}
