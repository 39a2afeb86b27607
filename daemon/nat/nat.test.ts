import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { EgressFlow } from '../datapath/egress-flows.ts'
import { createTables } from '../state/tables.ts'
import { Nat } from './nat.ts'
import { dropRecord } from './testdata/events.ts'
import { flows } from './testdata/flows.ts'

const LOOK_MS = 1000

/** A node that pods leave by one address, watched until the test's end. */
function watched({ masquerade = true, open = flows(3, '10.1.0.2', '192.0.2.7', '198.51.100.9:443') } = {}) {
  const [clock, log, tables, stop] = [new FakeClock(), new FakeLog(), createTables(), new AbortController()]
  tables.egress.put({ device: 'eth0', index: 2, family: 4, addresses: ['192.0.2.7'] })
  tables.endpoints.put(endpointRow('web', ['10.1.0.2']))
  let reads = 0
  let failure: Error | undefined
  const nat = new Nat({
    masquerade,
    tables,
    log,
    clock,
    flows: (visit: (flow: EgressFlow) => void) => {
      reads++
      open.forEach(visit)
      return failure ? Promise.reject(failure) : Promise.resolve()
    },
    sockets: async function* () {},
  })
  const running = nat.run(stop.signal)
  return {
    nat,
    clock,
    log,
    reads: () => reads,
    fail: (error: Error) => (failure = error),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

const PROBLEM =
  'default/web has no port left to TCP 198.51.100.9:443: 3 of 64512 are used at 192.0.2.7; packets dropped: 2. ' +
  'Give pods another address (masquerade.addresses), or let them keep fewer connections open there; ' +
  '`causeway nat --pod default/web` shows them'

test('a pod without a port left is a problem and a line in the log, until a minute after the last drop', async () => {
  await using at = watched()
  await at.clock.advance(10 * LOOK_MS)
  assert.equal(at.reads(), 0, 'as long as nothing is dropped nothing is read')
  for (const sourcePort of [1, 2]) at.nat.see(dropRecord('10.1.0.2', '198.51.100.9', { sourcePort }))
  assert.deepEqual(at.nat.problems, [])
  await at.clock.advance(LOOK_MS)
  assert.deepEqual(at.nat.problems, [PROBLEM])
  assert.equal(at.log.lines.length, 1)
  assert.match(
    at.log.lines[0] ?? '',
    /^warn no port is left .* pod=default\/web podAddress=10\.1\.0\.2 protocol=TCP destination=198\.51\.100\.9 destinationPort=443 .* drops=2$/,
  )
  await at.clock.advance(58 * LOOK_MS)
  assert.equal(at.nat.problems.length, 1)
  await at.clock.advance(LOOK_MS)
  assert.deepEqual(at.nat.problems, [])
  assert.equal(at.reads(), 1)
  assert.equal(at.log.lines.length, 1)
})

test('when the use of ports cannot be read, what is known is told', async () => {
  await using at = watched()
  at.fail(new Error('no such map'))
  at.nat.see(dropRecord('10.1.0.9', '198.51.100.9'))
  await at.clock.advance(LOOK_MS)
  assert.match(at.log.lines[0] ?? '', /^warn the use of ports could not be read error=no such map/)
  assert.match(at.log.lines[1] ?? '', /^warn no port is left .* pod=10\.1\.0\.9 /)
  assert.match(at.nat.problems[0] ?? '', /^10\.1\.0\.9 has no port left to TCP 198\.51\.100\.9:443; packets dropped: 1/)
})

test('more problems than a person reads are counted', async () => {
  await using at = watched()
  for (let i = 0; i < 15; i++) at.nat.see(dropRecord('10.1.0.2', `198.51.100.${i}`))
  await at.clock.advance(LOOK_MS)
  assert.equal(at.nat.problems.length, 11)
  assert.equal(at.nat.problems.at(-1), '5 more have no port left, see `causeway flows --reason nat_ports`')
})

test('without masquerade a port is missing for services only', async () => {
  await using at = watched({ masquerade: false })
  at.nat.see(dropRecord('10.1.0.2', '198.51.100.9'))
  await at.clock.advance(LOOK_MS)
  assert.deepEqual(at.nat.problems, [])
  assert.deepEqual(at.log.lines, [])
  const report = await at.nat.report({ top: 10, mappings: 0 })
  assert.equal(report.masquerade, false)
  assert.equal(report.mappings.total, 3)
})
