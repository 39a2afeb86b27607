/**
 * YAML in, tables out, for what only the directory source has: files. Each file of `directory/` is one story that reads
 * from top to bottom; `UPDATE_GOLDENS=1` rewrites what the tables are expected to hold.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTables } from '../../daemon/state/tables.ts'
import { describeTables } from './describe-tables.ts'
import { DirectoryPlayer } from './directory-player.ts'
import { type Known, play } from './play.ts'
import { parseStory, printStory } from './story.ts'

const folder = join(import.meta.dirname, 'directory')

for (const name of readdirSync(folder)) {
  test(`scenario ${name}: the tables are as the story says after each step`, async () => {
    const path = join(folder, name)
    const story = parseStory(readFileSync(path, 'utf8'))
    const tables = createTables()
    await using player = new DirectoryPlayer(tables)
    const told = await play(story.steps, { tables, describe }, player)
    const text = printStory({ ...story, steps: told })
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })
}

function describe(known: Known): string {
  return describeTables(
    known,
    known.problems.map(({ place, message }) => `${place}: ${message}`),
  )
}
