/**
 * YAML in, routes and ipcache out: Node and Pod objects through a source and the planner, on a node `n1` whose uplink
 * `eth0` has 172.30.0.1/24, fd00:30::1/64 and an MTU of 1500 until a story says otherwise. The text before a story's first
 * step names the mode, "IPv4 only" where pods have no other family, and "machine of aws" where the firmware says so; all
 * else is behind the gateways 172.30.0.254 and fe80::fe. `UPDATE_GOLDENS=1` rewrites what is expected as the directory
 * source has it. From an API server the same comes out, but for what only other nodes' Pod objects tell: the story says
 * that they are not known there, and what they alone lead to has no way.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { findCloud } from '../../daemon/cloud.ts'
import { PathPlanner } from '../../daemon/datapath/path-planner.ts'
import type { RoutingMode } from '../../daemon/datapath/paths.ts'
import { familyOf } from '../../daemon/kernel/ip.ts'
import type { Family, LinkInfo, Net, RouteInfo } from '../../daemon/kernel/kernel.ts'
import { sortedRows } from '../../daemon/state/dump.ts'
import { replaceRows } from '../../daemon/state/replace.ts'
import { type Cloud, createTables, type HostAddressRow, type Tables } from '../../daemon/state/tables.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeLog } from '../support/fake-log.ts'
import { DirectoryPlayer } from './directory-player.ts'
import { KubernetesPlayer } from './kubernetes-player.ts'
import { play, type Stage } from './play.ts'
import { parseStory, printStory, type Step } from './story.ts'

const folder = join(import.meta.dirname, 'paths')
const BEHIND_GATEWAYS: Pick<Net, 'routeTo' | 'link'> = {
  routeTo: address => {
    const family = familyOf(address) === 6 ? 6 : 4
    const [dst, via] = family === 4 ? ['0.0.0.0/0', '172.30.0.254'] : ['::/0', 'fe80::fe']
    return { family, dst, via, link: 2, table: 254, protocol: 4 } satisfies RouteInfo
  },
  // No more is asked of it.
  link: () => ({ name: 'eth0', loopback: false }) as LinkInfo,
}
const UPLINK = { name: 'eth0', index: 2, mtu: 1500, mac: '02:00:00:00:00:01' }

for (const name of readdirSync(folder)) {
  const path = join(folder, name)

  test(`scenario ${name}: the ways to other nodes are as the story says`, async () => {
    const story = parseStory(readFileSync(path, 'utf8'))
    await using stage = new PlannerStage(story.about)
    await using player = new DirectoryPlayer(stage.tables)
    const text = printStory({ ...story, steps: await play(story.steps, stage, player) })
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(path, text)
    else assert.equal(text, readFileSync(path, 'utf8'))
  })

  test(`scenario ${name}: the ways are the same from an API server`, async () => {
    const story = parseStory(readFileSync(path, 'utf8'))
    await using stage = new PlannerStage(story.about)
    await using player = await KubernetesPlayer.start(new Map([['n1', stage.tables]]))
    const told = await play(story.steps, stage, player)
    const pods = addressesOfPods(story.steps)
    const expected = story.steps.map(step =>
      step.kind === 'expect' ? { ...step, text: withoutStrays(step.text, pods) } : step,
    )
    assert.equal(printStory({ ...story, steps: told }), printStory({ ...story, steps: expected }))
    const differs = !isDeepStrictEqual(expected, story.steps)
    assert.equal(story.about.includes(FROM_API_SERVER), differs, 'the story says where the sources differ')
  })
}

const FROM_API_SERVER = 'not from an API server'

/** Without ways of single pods that only their Pod objects tell of. */
function withoutStrays(text: string, told: ReadonlySet<string>): string {
  const ofPod = (line: string): boolean => told.has(/^(?:route|ipcache) (\S+)\/(?:32|128) /.exec(line)?.[1] ?? '')
  return text
    .split('\n')
    .filter(line => !ofPod(line) || line.endsWith(' itself'))
    .join('\n')
}

/** Addresses of Pod objects. */
function addressesOfPods(steps: readonly Step[]): ReadonlySet<string> {
  const written = steps
    .filter(step => step.kind === 'write')
    .flatMap(({ text }) => [...text.matchAll(/\bip: ([^\s,}]+)/g)])
  return new Set(written.map(([, address = '']) => address))
}

function modeOf(about: string): RoutingMode {
  const mode = /\bmode (auto|native|overlay)\b/.exec(about)?.[1]
  assert.ok(mode, 'the story names a mode')
  // The pattern allows nothing else.
  return mode as RoutingMode
}

function machineOf(about: string): Cloud | undefined {
  return (['aws', 'azure', 'gcp'] as const).find(cloud => about.includes(`machine of ${cloud}`))
}

function familiesOf(about: string): readonly Family[] {
  return about.includes('IPv4 only') ? [4] : [4, 6]
}

/** The planner as the daemon runs it, on a clock that goes on by what it takes to plan. */
class PlannerStage implements Stage, AsyncDisposable {
  readonly tables = createTables()
  readonly #clock = new FakeClock()
  readonly #stop = new AbortController()
  readonly #planner: PathPlanner
  readonly #running: Promise<void>

  constructor(about: string) {
    const [mode, families, machine] = [modeOf(about), familiesOf(about), machineOf(about)]
    const { tables } = this
    tables.uplinks.put(UPLINK)
    this.setAddresses('172.30.0.1/24\nfd00:30::1/64')
    const common = {
      tables,
      nodeName: 'n1',
      mtu: 'auto' as const,
      log: new FakeLog(),
      clock: this.#clock,
      net: BEHIND_GATEWAYS,
    }
    this.#planner = new PathPlanner({
      ...common,
      mode,
      families,
      encryptionOverhead: 0,
      cloud: () => findCloud('auto', tables.nodes.get('n1'), machine).cloud,
    })
    this.#running = this.#planner.run(async () => {}, this.#stop.signal)
  }

  readonly setAddresses = (text: string): void => {
    const lines = text.split('\n').filter(line => line !== '')
    replaceRows(this.tables.hostAddresses, lines.map(addressRow))
  }

  readonly describe = async (): Promise<string> => {
    await this.#clock.advance(1000)
    const planner = this.#planner
    const failure = planner.failure === undefined ? [] : [planner.failure]
    const rows = [...routesOf(this.tables), ...ipcacheOf(this.tables)]
    return [`pods' MTU ${planner.mtu.podRoute}`, ...rows, ...planner.problems, ...failure].join('\n') + '\n'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.#planner[Symbol.dispose]()
  }
}

function addressRow(text: string): HostAddressRow {
  const [address = '', length] = text.split('/')
  assert.ok(familyOf(address))
  return { address, prefixLength: Number(length), scope: 'global', device: UPLINK.name }
}

function routesOf({ routes }: Tables): string[] {
  return sortedRows(routes).map(({ dst, type, via, link, mtu, src }) =>
    type === 'unreachable'
      ? `unreachable ${dst}`
      : `route ${dst} via ${via}${link === undefined ? '' : ` dev ${link}`} mtu ${mtu} src ${src}`,
  )
}

function ipcacheOf({ ipcache }: Tables): string[] {
  return sortedRows(ipcache).map(
    ({ prefix, node, path, host, why }) =>
      `ipcache ${prefix} ${node} ${path.kind === 'overlay' ? `overlay ${path.tunnel}` : 'native'} (${why})${host ? ' itself' : ''}`,
  )
}
