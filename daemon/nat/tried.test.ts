import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_FRONTEND } from '../../test/support/service-row.ts'
import type { EgressFlow } from '../datapath/egress-flows.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { EgressRow } from '../state/tables.ts'
import { HeldPorts } from './held-ports.ts'
import { PortUsage } from './port-usage.ts'
import { bound, flow, flows } from './testdata/flows.ts'
import { triedFor } from './tried.ts'

const EGRESS: readonly EgressRow[] = [
  { device: 'eth0', index: 2, family: 4, addresses: ['192.0.2.7', '192.0.2.8'] },
  { device: 'eth0', index: 2, family: 6, addresses: ['fd00::7'] },
  { device: 'eth1', index: 3, family: 4, addresses: ['203.0.113.7'] },
]
const PORT = { destinationPort: 443, protocol: 6 }

function tried(
  destination: string,
  {
    open = [],
    frontend,
    port = PORT,
  }: { open?: readonly EgressFlow[]; frontend?: FrontendRow; port?: typeof PORT } = {},
): string[] {
  const usage = new PortUsage()
  for (const one of open) usage.add(one)
  const held = new HeldPorts(() => true)
  held.add(bound('TCP 192.0.2.7:8080'))
  const refused = { pod: '10.1.0.2', destination, ...port }
  const facts = {
    usage,
    held,
    egress: EGRESS,
    frontend: (key: string) => (key === frontend?.key ? frontend : undefined),
  }
  return triedFor(refused, facts).map(t => `${t.egressAddress}: ${t.used} of ${t.total}`)
}

test('where several devices lead out, the addresses of those count that others go there with', () => {
  assert.deepEqual(tried('198.51.100.9', { open: flows(3, '10.1.0.3', '192.0.2.8', '198.51.100.9:443') }), [
    '192.0.2.7: 0 of 64511',
    '192.0.2.8: 3 of 64512',
  ])
})

test('where nobody goes, all of the family do', () => {
  assert.deepEqual(tried('198.51.100.9'), ['192.0.2.7: 0 of 64511', '192.0.2.8: 0 of 64512', '203.0.113.7: 0 of 64512'])
  assert.deepEqual(tried('fd00:9::1'), ['fd00::7: 0 of 64512'])
})

test('a protocol without ports is by the address alone', () => {
  const open = [flow('47 10.1.0.3:0 as 192.0.2.7:0 to 198.51.100.9:0')]
  assert.deepEqual(tried('198.51.100.9', { open, port: { destinationPort: 0, protocol: 47 } }), [
    '192.0.2.7: 1 of 1',
    '192.0.2.8: 0 of 1',
  ])
})

const service: FrontendRow = {
  ...PLAIN_FRONTEND,
  key: 'TCP 10.96.0.1:443 inside',
  address: '10.96.0.1',
  port: 443,
  backends: [
    { address: '198.51.100.9', port: 6443, node: '', zone: '', weight: 1, terminating: false },
    { address: '10.1.0.9', port: 6443, node: 'b', zone: '', weight: 1, terminating: false },
  ],
}

test('of a service its backends outside count', () => {
  const open = flows(2, '10.1.0.3', '192.0.2.7', '198.51.100.9:6443')
  assert.deepEqual(tried('10.96.0.1', { open, frontend: service }), ['192.0.2.7: 2 of 64511'])
})

test('a service that nobody outside serves tries no address', () => {
  assert.deepEqual(tried('10.96.0.1', { frontend: service }), [])
})
