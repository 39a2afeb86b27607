/**
 * YAML in, routes and ipcache out: Node and Pod objects through the directory source and the planner, on a node `n1`
 * whose uplink `eth0` has 172.30.0.1/24, fd00:30::1/64 and an MTU of 1500. The text before a story's first step names
 * the mode; `UPDATE_GOLDENS=1` rewrites what is expected.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AddressInfo } from '../../daemon/kernel/kernel.ts'
import { PathPlanner } from '../../daemon/datapath/path-planner.ts'
import { sortedRows } from '../../daemon/state/dump.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { FakeLog } from '../support/fake-log.ts'
import { play } from './play.ts'
import { parseStory, printStory } from './story.ts'

const folder = join(import.meta.dirname, 'paths')
const ADDRESSES: readonly AddressInfo[] = [
  { link: 2, family: 4, address: '172.30.0.1', prefixLength: 24, scope: 'global', dynamic: false },
  { link: 2, family: 6, address: 'fd00:30::1', prefixLength: 64, scope: 'global', dynamic: false },
]

for (const name of readdirSync(folder)) {
  test(`scenario ${name}: the ways to other nodes are as the story says`, async () => {
    const path = join(folder, name)
    const story = parseStory(readFileSync(path, 'utf8'))
    const told = await play(story.steps, ...plannerOf(modeOf(story.about)))
    const text = printStory({ ...story, steps: told })
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })
}

type Mode = 'auto' | 'native' | 'overlay'

function modeOf(about: string): Mode {
  const mode = /\bmode (auto|native|overlay)\b/.exec(about)?.[1]
  assert.ok(mode, 'the story names a mode')
  // The pattern allows nothing else.
  return mode as Mode
}

/** What `play` needs besides the steps: how to describe, and the tables it is about. */
function plannerOf(mode: Mode): [(tables: Tables, problems: readonly string[]) => string, Tables] {
  const tables = createTables()
  tables.uplinks.put({ name: 'eth0', index: 2, mtu: 1500, mac: '02:00:00:00:00:01' })
  const net = { addresses: () => [...ADDRESSES] }
  const common = { tables, net, nodeName: 'n1', families: [4, 6] as const, mtu: 'auto' as const, log: new FakeLog() }
  const planner = new PathPlanner({ ...common, mode, encryptionOverhead: 0 })
  const describe = (): string => {
    const { podRoute } = planner.plan()
    return [`pods' MTU ${podRoute}`, ...routesOf(tables), ...ipcacheOf(tables), ...planner.problems].join('\n') + '\n'
  }
  return [describe, tables]
}

function routesOf({ routes }: Tables): string[] {
  return sortedRows(routes).map(
    ({ dst, via, link, mtu, src }) =>
      `route ${dst} via ${via}${link === undefined ? '' : ` dev ${link}`} mtu ${mtu} src ${src}`,
  )
}

function ipcacheOf({ ipcache }: Tables): string[] {
  return sortedRows(ipcache).map(
    ({ prefix, node, path }) =>
      `ipcache ${prefix} ${node} ${path.kind === 'overlay' ? `overlay ${path.tunnel}` : 'native'}`,
  )
}
