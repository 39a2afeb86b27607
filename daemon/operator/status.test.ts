import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOperatorTables } from './rows.ts'
import { operatorStatus } from './status.ts'
import { networkRow, nodeRow, poolRow } from './testdata.ts'

const build = { version: '1', node: '24' }

test('the one that leads tells of nodes their ranges and whether they are ready, of pools what is left', () => {
  const tables = createOperatorTables()
  tables.nodes.put(nodeRow('b', { bootId: 'now' }))
  tables.nodes.put(nodeRow('a', { tainted: true }))
  tables.nodes.put(nodeRow('new'))
  tables.networks.put(networkRow('a', ['10.0.0.0/24'], { ready: false }))
  tables.networks.put(networkRow('b', ['10.0.1.0/24'], { ready: true, bootId: 'now' }))
  tables.networks.put(networkRow('new', ['10.0.2.0/24'], { ready: true, nodeUid: 'of-one-before' }))
  tables.networks.put(networkRow('away', ['10.0.3.0/24']))
  const use = { pool: poolRow('p', [['10.0.0.0/16', 24]]), nodes: 3, free: 253, conflict: undefined }
  const problems = [{ place: 'x', message: 'y' }]
  const leadership = { tables, uses: () => [use] }
  const status = operatorStatus({
    build,
    identity: 'me',
    election: { leading: true, holder: 'me' },
    leadership,
    problems,
  })
  assert.deepEqual(status, {
    build,
    identity: 'me',
    leading: true,
    leader: 'me',
    nodes: [
      { name: 'a', podCidrs: ['10.0.0.0/24'], pool: 'p', ready: false, tainted: true },
      { name: 'b', podCidrs: ['10.0.1.0/24'], pool: 'p', ready: true, tainted: false },
      { name: 'new', podCidrs: [], pool: '', ready: false, tainted: false },
    ],
    gone: [{ name: 'away', podCidrs: ['10.0.3.0/24'] }],
    pools: [{ name: 'p', nodes: 3, free: 253 }],
    problems,
  })
})

test('one that does not lead knows who does, and what it lacks itself', () => {
  const problems = [{ place: 'RBAC', message: 'z' }]
  const election = { leading: false, holder: 'other' }
  const status = operatorStatus({ build, identity: 'me', election, leadership: undefined, problems })
  assert.deepEqual([status.nodes, status.leader, status.problems], [[], 'other', problems])
})
