/**
 * YAML in, tables out, through the directory source as the daemon runs it. Each file of `directory/` is one story that
 * reads from top to bottom; `UPDATE_GOLDENS=1` rewrites what the tables are expected to hold.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDirectorySource } from '../../daemon/cluster/directory/source.ts'
import { dump } from '../../daemon/state/dump.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { parseStory, printStory, type Step } from './story.ts'

const folder = join(import.meta.dirname, 'directory')

for (const name of readdirSync(folder)) {
  test(`scenario ${name}: the tables are as the story says after each step`, async () => {
    const path = join(folder, name)
    const story = parseStory(readFileSync(path, 'utf8'))
    const told = await play(story.steps)
    const text = printStory({ ...story, steps: told })
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })
}

/** Carries the steps out and returns them with what the tables really held. */
async function play(steps: readonly Step[]): Promise<Step[]> {
  const directory = mkdtempSync(join(tmpdir(), 'cw-story-'))
  const tables = createTables()
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

function describe(tables: Tables, problems: readonly string[]): string {
  const sync = tables.nodes.initialized ? 'complete' : 'not complete'
  const parts = [`sync ${sync}\n`, `nodes ${dump(tables.nodes)}`, `pods ${dump(tables.pods)}`]
  return [...parts, ...problems.map(line => `problem ${line}`)].join('')
}
