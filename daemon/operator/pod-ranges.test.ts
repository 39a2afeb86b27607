/** What is assigned, written to an API server of a few lines, while the watch tells of other things. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { PodRanges } from './pod-ranges.ts'
import { createOperatorTables, type OperatorTables } from './rows.ts'
import { networkRow, nodeRow, poolRow } from './testdata.ts'

type Client = Pick<ApiClient, 'create' | 'patch'>

interface World extends AsyncDisposable {
  readonly tables: OperatorTables
  readonly ranges: PodRanges
  readonly clock: FakeClock
  readonly warned: string[]
}

/** Answers with the object that was sent, under a uid. */
function answer(object: object, uid: string): object {
  const { metadata, ...rest } = object as { metadata: object }
  return { ...rest, metadata: { name: 'a', ...metadata, uid } }
}

function start(fill: (tables: OperatorTables) => void, client: Partial<Client> = {}): World {
  const [clock, tables] = [new FakeClock(), createOperatorTables()]
  const warned: string[] = []
  const events = {
    warn: async ({ name }: { name: string }, reason: string) => void warned.push(`${reason} ${name}`),
  }
  const asked: Client = {
    create: async (_r, _p, object) => answer(object, 'new'),
    patch: async (_r, { patch }) => answer(patch as object, 'patched'),
    ...client,
  }
  fill(tables)
  const ranges = new PodRanges({ client: asked, tables, events, log: new FakeLog(), clock })
  const stop = new AbortController()
  const running = ranges.run(stop.signal)
  const dispose = async (): Promise<void> => {
    stop.abort()
    await running
  }
  return { tables, ranges, clock, warned, [Symbol.asyncDispose]: dispose }
}
const pool = poolRow('p', [['10.0.0.0/23', 24]])

/** The NodeNetwork of a node is being given its range, and the answer comes when it is told to. */
async function startWriting(create?: Client['create']) {
  const written = Promise.withResolvers<void>()
  const fill = (tables: OperatorTables): void => {
    tables.pools.put(pool)
    tables.nodes.put(nodeRow('a'))
    tables.networks.put(networkRow('a', [], { uid: 'u', pool: '' }))
  }
  const patch: Client['patch'] = async (_r, sent) => {
    await written.promise
    return answer(sent.patch as object, 'u')
  }
  const world = start(fill, { patch, ...(create !== undefined && { create }) })
  await world.clock.advance(0)
  const end = async (): Promise<void> => {
    written.resolve()
    await world.clock.advance(0)
  }
  return Object.assign(world, { end })
}

test('what the watch tells of a NodeNetwork while it is written outlives the answer', async () => {
  await using world = await startWriting()
  const { tables, end } = world
  const told = networkRow('a', ['10.0.0.0/24'], { uid: 'u', ready: true, bootId: 'b' })
  tables.networks.put(told)
  await end()
  assert.deepEqual(tables.networks.get('a'), told)
})

test('a NodeNetwork that is deleted while it is written does not come back by the answer', async () => {
  await using world = await startWriting(() => Promise.reject(new ApiError('POST nodenetworks', 409, '')))
  const { tables, end } = world
  tables.networks.delete('a')
  await end()
  assert.equal(tables.networks.get('a'), undefined)
})

test('ranges are not given twice while the watch is late', async () => {
  const given: string[] = []
  await using world = start(
    tables => {
      tables.pools.put(pool)
      tables.nodes.put(nodeRow('b'))
    },
    {
      create: async (_r, _p, object) => {
        given.push(JSON.stringify((object as { spec: unknown }).spec))
        return answer(object, 'new')
      },
    },
  )
  const { tables, clock } = world
  await clock.advance(0)
  tables.nodes.put(nodeRow('a'))
  await clock.advance(0)
  assert.deepEqual(given, ['{"podCidrs":["10.0.0.0/24"],"pool":"p"}', '{"podCidrs":["10.0.1.0/24"],"pool":"p"}'])
})

test('nodes without a range and ranges of two nodes are told again while nothing changes', async () => {
  await using world = start(tables => {
    tables.pools.put(pool)
    tables.nodes.put(nodeRow('a'))
    for (const name of ['b', 'c']) {
      tables.nodes.put(nodeRow(name))
      tables.networks.put(networkRow(name, ['10.0.0.0/23']))
    }
  })
  const { clock, warned, ranges } = world
  await clock.advance(0)
  const once = ['NoPodRange a', 'PodRangeOverlaps c']
  // The first look makes a NodeNetwork for `a`, and the second finds it.
  assert.deepEqual([...new Set(warned)], once)
  warned.length = 0
  await clock.advance(60 * 60_000)
  assert.deepEqual(warned, [...once, ...once])
  assert.equal(ranges.problems.length, 2)
})
