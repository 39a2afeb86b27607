import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import type { Parts } from '../../daemon/plugin.ts'
import type { Tables } from '../../daemon/state/tables.ts'
import { eventually } from '../../test/support/eventually.ts'
import { fakeHost } from '../../test/support/fake-host.ts'
import { egressGateway } from './plugin.ts'
import { parseOptions } from './options.ts'
import { held, node, policy } from './testdata.ts'

const endpoint = endpointRow('web-1', ['10.64.0.9'])

/** The plugin on a node of a cluster that is known, with one policy and no pod. */
async function start(section: object = {}) {
  const host = fakeHost()
  const { tables } = host
  const known = [
    tables.pods,
    tables.endpoints,
    tables.nodes,
    tables.namespaces,
    tables.egressPolicies,
    tables.hostAddresses,
    tables.uplinks,
  ].map(table => table.initializer('test'))
  const parts = await egressGateway.configure({ labelsWaitMs: 50, ...section })(host)
  tables.nodes.put(node(host.nodeName, '172.30.0.1'))
  tables.nodes.put(node('gate', '127.0.0.1', { egress: 'yes' }))
  tables.hostAddresses.put(held('172.30.0.1'))
  tables.egressPolicies.put(policy('corporate'))
  const done = parts.run?.(host.signal)
  return {
    host,
    tables,
    parts,
    know: () => known.splice(0).forEach(complete => complete()),
    async [Symbol.asyncDispose]() {
      await host.stop()
      await done
    },
  }
}

const kinds = (tables: Tables): string[] =>
  [...tables.egressPaths.values()].flatMap(row => row.paths.map(({ to }) => `${row.source} ${to.kind}`))
const tell = (tables: Tables, uid = 'u1'): number =>
  tables.pods.put({
    namespace: 'default',
    name: 'web-1',
    uid,
    nodeName: 'here',
    addresses: [],
    hostNetwork: false,
    labels: { app: 'web' },
  })
async function admit(parts: Parts, tables: Tables): Promise<void> {
  tables.endpoints.put(endpoint)
  await parts.admit?.(endpoint, AbortSignal.timeout(10_000))
}

test('the programs and the overlay device are asked for', async () => {
  await using at = await start()
  assert.deepEqual(at.parts.datapath, { overlay: true, config: { egress_gateway: 1 } })
})

test('a pod that is known has its path when its ADD is answered', async () => {
  await using at = await start()
  at.know()
  tell(at.tables)
  await admit(at.parts, at.tables)
  assert.deepEqual(kinds(at.tables), ['10.64.0.9 gateway'])
})

test('one whose labels come within the time has its path too', async () => {
  await using at = await start({ labelsWaitMs: 5000 })
  at.know()
  const admitted = admit(at.parts, at.tables)
  await eventually(() => kinds(at.tables).includes('10.64.0.9 unknown'))
  tell(at.tables, 'another')
  tell(at.tables)
  await admitted
  assert.deepEqual(kinds(at.tables), ['10.64.0.9 gateway'])
})

test('one whose labels do not come is kept in the cluster, until they do', async () => {
  await using at = await start()
  at.know()
  await admit(at.parts, at.tables)
  assert.deepEqual(kinds(at.tables), ['10.64.0.9 unknown'])
  tell(at.tables)
  await eventually(() => kinds(at.tables).includes('10.64.0.9 gateway'))
})

test('without policies no pod waits, and none is kept back', async () => {
  await using at = await start({ labelsWaitMs: 30_000 })
  at.tables.egressPolicies.delete('corporate')
  at.know()
  await admit(at.parts, at.tables)
  assert.deepEqual(kinds(at.tables), [])
})

test('before the cluster is known new pods are kept back, and those that were there are left as they are', async () => {
  await using at = await start()
  const old = { ...endpoint, key: 'causeway/0/eth0', addresses: ['10.64.0.8'], pod: { ...endpoint.pod, name: 'old' } }
  at.tables.endpoints.put(old)
  await admit(at.parts, at.tables)
  assert.deepEqual(kinds(at.tables), ['10.64.0.9 unknown'])
  assert.equal(at.tables.egressPaths.initialized, false)
  tell(at.tables)
  at.know()
  await eventually(() => kinds(at.tables).includes('10.64.0.9 gateway'))
  await eventually(() => kinds(at.tables).includes('10.64.0.8 unknown'))
  assert.equal(at.tables.egressPaths.initialized, true)
})

test('labels stay known when the object goes before the pod', async () => {
  await using at = await start()
  at.know()
  tell(at.tables)
  await admit(at.parts, at.tables)
  at.tables.pods.delete('default/web-1')
  at.tables.nodes.put(node('another', '172.30.0.9'))
  await new Promise(setImmediate)
  assert.deepEqual(kinds(at.tables), ['10.64.0.9 gateway'])
  at.tables.endpoints.delete(endpoint.key)
  await eventually(() => at.tables.egressPaths.size === 0)
})

test('causeway egress shows it for people and programs', async () => {
  await using at = await start()
  at.know()
  tell(at.tables)
  await admit(at.parts, at.tables)
  await at.host.stop()
  const [command] = at.parts.commands ?? []
  const run = async (...args: readonly string[]): Promise<{ status: number | undefined; out: string }> => {
    const out = new PassThrough()
    const status = await command?.run(args, out, at.host.signal)
    out.end()
    return { status, out: await text(out) }
  }
  const { status, out } = await run()
  assert.equal(status, 0)
  assert.deepEqual(
    out.split('\n').map(line => line.replaceAll(/ +/g, ' ')),
    [
      'POLICY PRIORITY DESTINATIONS EXCLUDED PODS HERE GATEWAYS ADDRESSES HERE',
      'corporate 0 0.0.0.0/0 - 1 gate -',
      '',
      'GATEWAY HEALTH IN USE PODS HERE',
      `gate ${(JSON.parse((await run('-o', 'json')).out) as { gateways: { health: string }[] }).gateways[0]?.health} yes 1`,
      '',
      'POD DESTINATION POLICY GATEWAY INSTEAD OF',
      'default/web-1 0.0.0.0/0 corporate gate -',
      '',
    ],
  )
  assert.equal((await run('--all')).status, 2)
})

test('a wrong option is named with what is allowed', () => {
  assert.deepEqual(parseOptions(null).probePort, 10_250)
  for (const [section, message] of [
    [{ probes: 0 }, 'egress-gateway.probes: is not allowed; allowed: a number from 1 to 100'],
    [{ probeport: 1 }, /egress-gateway\.probeport: unknown key; allowed: a group with the keys probePort/],
    [7, /egress-gateway: is not allowed; allowed: a group/],
  ] as const)
    assert.throws(() => parseOptions(section), { message: typeof message === 'string' ? new RegExp(message) : message })
})
