import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { EgressFlow } from '../datapath/egress-flows.ts'
import { createMetrics } from '../observe/metrics.ts'
import { exposeNat, NatFigures } from './figures.ts'
import { createTables } from '../state/tables.ts'
import { podNames } from './pod-names.ts'
import { flow, flows } from './testdata/flows.ts'

/** Metrics of a node with these flows. */
function scraped(open: EgressFlow[], { on = true, tookMs = 0 } = {}) {
  const [clock, log] = [new FakeClock(), new FakeLog()]
  let looks = 0
  const figures = new NatFigures({
    on,
    clock,
    log,
    egress: () => [{ device: 'eth0', index: 2, family: 4, addresses: ['192.0.2.7', '192.0.2.8'] }],
    names: () => podNames(createTables()),
    sockets: async function* () {},
    flows: async visit => {
      looks++
      await clock.advance(tookMs)
      if (open.length === 0) throw new Error('no such map')
      open.forEach(visit)
    },
  })
  const metrics = createMetrics({ version: '', node: '' })
  exposeNat(metrics, () => figures.get())
  return {
    clock,
    log,
    looks: () => looks,
    async text(): Promise<string[]> {
      return (await metrics.expose()).split('\n').filter(line => line.startsWith('causeway_nat_'))
    },
  }
}

test('the largest users and what is left at each address are told', async () => {
  const at = scraped([
    ...flows(3, '10.1.0.2', '192.0.2.7', '198.51.100.9:443'),
    flow('ICMPv6 [fd00::2]:7 as [fd00::7]:2001 to [fd00:9::1]:2001'),
  ])
  assert.deepEqual(await at.text(), [
    'causeway_nat_ports_used{pod="10.1.0.2",destination="198.51.100.9:443",address="192.0.2.7",protocol="TCP"} 3',
    'causeway_nat_ports_used{pod="fd00::2",destination="fd00:9::1",address="fd00::7",protocol="ICMPv6"} 1',
    'causeway_nat_headroom_ports{address="192.0.2.7"} 64509',
    'causeway_nat_headroom_ports{address="192.0.2.8"} 64512',
    'causeway_nat_headroom_ports{address="fd00::7"} 64511',
  ])
})

test('there are ten users at most, and those that are none any more are gone', async () => {
  const open = Array.from({ length: 30 }, (_, i) => flows(i + 1, `10.1.0.${i}`, '192.0.2.7', '198.51.100.9:443')).flat()
  const at = scraped(open)
  const users = async (): Promise<string[]> => (await at.text()).filter(line => line.includes('ports_used'))
  assert.equal((await users()).length, 10)
  open.splice(0, open.length, ...flows(1, '10.1.0.99', '192.0.2.7', '198.51.100.9:443'))
  await at.clock.advance(5000)
  assert.equal((await users()).length, 1)
})

test('who asks again within seconds, or at the same time, is told the same', async () => {
  const at = scraped(flows(1, '10.1.0.2', '192.0.2.7', '198.51.100.9:443'))
  await Promise.all([at.text(), at.text()])
  await at.clock.advance(4999)
  assert.equal((await at.text()).length, 3)
  assert.equal(at.looks(), 1)
  await at.clock.advance(1)
  await at.text()
  assert.equal(at.looks(), 2)
})

test('looks that take long are seldom', async () => {
  const at = scraped(flows(1, '10.1.0.2', '192.0.2.7', '198.51.100.9:443'), { tookMs: 1000 })
  await at.text()
  await at.clock.advance(19_999)
  await at.text()
  assert.equal(at.looks(), 1)
  await at.clock.advance(1)
  await at.text()
  assert.equal(at.looks(), 2)
})

test('what cannot be read is logged and leaves the other metrics alone', async () => {
  const at = scraped([])
  assert.deepEqual(await at.text(), [])
  assert.deepEqual(at.log.lines, ['warn the use of ports could not be read error=no such map'])
})

test('without masquerade nothing is read', async () => {
  const at = scraped(flows(1, '10.1.0.2', '192.0.2.7', '198.51.100.9:443'), { on: false })
  assert.deepEqual(await at.text(), [])
  assert.equal(at.looks(), 0)
})
