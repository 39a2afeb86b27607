/**
 * What the lab's load shows of a service whose backends come and go, whose pods drain and whose daemon dies, holds; and what
 * does not hold would show.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type LoadRow, runLoad } from '../../deploy/lab/load.ts'
import { processesIn, send } from '../../deploy/lab/namespaces.ts'
import { Cluster } from '../support/cluster.ts'

suite('a service under load', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start('clchg', { nodes: 2, pods: 2 })
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  async function load(each: () => Promise<void> = async () => {}): Promise<LoadRow[]> {
    const rows: LoadRow[] = []
    for await (const row of runLoad(cluster.lab, cluster)) {
      rows.push(row)
      await each()
    }
    return rows
  }

  test('keeps every connection and fails no new one', async () => {
    const rows = await load()
    assert.deepEqual(
      rows.map(({ client, error }) => `${client}: ${error}`),
      Array.from({ length: 4 }, () => ['pod: ', 'pod, by packet: ', 'outside: ']).flat(),
    )
    for (const { event, client, answered } of rows) assert.ok(answered > 50, `${event}, ${client}: ${answered}`)
    assert.equal(existsSync(join(cluster.lab.layout.cluster, 'service-changing.yaml')), false)
  })

  test('is said to fail whoever is given a backend that does not serve', async () => {
    let ended = false
    const rows = await load(async () => {
      if (ended) return
      ended = true
      send('SIGKILL', processesIn([basename(cluster.station('node2-b').netns)]))
    })
    const failed = rows.filter(row => !row.ok)
    assert.ok(failed.some(row => row.error.includes('ECONNREFUSED')))
    assert.ok(failed.some(row => row.event.includes('same connections')))
  })
})
