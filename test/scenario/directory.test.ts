/**
 * YAML in, tables out, through the directory source as the daemon runs it. Each file of `directory/` is one story that
 * reads from top to bottom; `UPDATE_GOLDENS=1` rewrites what the tables are expected to hold.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dump } from '../../daemon/state/dump.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { play } from './play.ts'
import { parseStory, printStory } from './story.ts'

const folder = join(import.meta.dirname, 'directory')

for (const name of readdirSync(folder)) {
  test(`scenario ${name}: the tables are as the story says after each step`, async () => {
    const path = join(folder, name)
    const story = parseStory(readFileSync(path, 'utf8'))
    const told = await play(story.steps, { tables: createTables(), describe })
    const text = printStory({ ...story, steps: told })
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })
}

function describe(tables: Tables, problems: readonly string[]): string {
  const sync = tables.nodes.initialized ? 'complete' : 'not complete'
  const parts = [`sync ${sync}\n`, `nodes ${dump(tables.nodes)}`, `pods ${dump(tables.pods)}`]
  return [...parts, ...problems.map(line => `problem ${line}`)].join('')
}
