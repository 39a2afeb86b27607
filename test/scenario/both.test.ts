/**
 * The same YAML, whichever source the daemon has: each story of `both/` is played to the directory source and, by an API
 * server, to the kubernetes source of every node it names. The same tables come out; `UPDATE_GOLDENS=1` rewrites them as
 * the directory source has them. Where a problem lies differs, in a file or in an object: stories have what is wrong.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { describeTables } from './describe-tables.ts'
import { DirectoryPlayer } from './directory-player.ts'
import { KubernetesPlayer } from './kubernetes-player.ts'
import { type Known, play, type Player } from './play.ts'
import { parseStory, printStory, type Story } from './story.ts'

const folder = join(import.meta.dirname, 'both')

for (const name of readdirSync(folder)) {
  const path = join(folder, name)

  test(`scenario ${name}: the tables are as the story says after each step`, async () => {
    const story = parseStory(readFileSync(path, 'utf8'))
    const tables = createTables()
    await using player = new DirectoryPlayer(tables)
    const text = await tell(story, tables, player)
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })

  test(`scenario ${name}: the tables are the same from an API server`, async () => {
    const text = readFileSync(path, 'utf8')
    const nodes = new Map(nodesOf(text).map(node => [node, createTables()]))
    await using player = await KubernetesPlayer.start(nodes)
    assert.equal(await tell(parseStory(text), createTables(), player), text)
  })
}

async function tell(story: Story, tables: Tables, player: Player): Promise<string> {
  return printStory({ ...story, steps: await play(story.steps, { tables, describe }, player) })
}

function describe(known: Known): string {
  return describeTables(
    known,
    known.problems.map(({ message }) => message),
  )
}

/** Those that pods are on; one that has none where there are no pods. */
function nodesOf(text: string): readonly string[] {
  const named = [...text.matchAll(/^ .*\bnodeName"?: *"?([\w-]+)/gm)].map(([, node = '']) => node)
  return named.length > 0 ? [...new Set(named)] : ['any']
}
