/** What a runtime fills in under `runtimeConfig` and the CNI executable cannot take: each is refused by name. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { CniFixture, type Outcome, outcome, refused } from '../support/cni-fixture.ts'

let cni: CniFixture
before(async () => {
  cni = await CniFixture.create()
})
after(() => cni[Symbol.asyncDispose]())
beforeEach(() => cni.next())

const runtime: readonly [config: object, want: Outcome][] = [
  [
    { bandwidth: { ingressRate: 1 } },
    refused(2, 'unsupported field runtimeConfig.bandwidth with value {"ingressRate":1}'),
  ],
  [{ ipRanges: [] }, refused(2, 'unsupported field runtimeConfig.ipRanges with value []')],
  [{ ips: '10.0.0.1' }, refused(7, 'runtimeConfig.ips: must be a list', '"10.0.0.1"')],
  [{ ips: ['10.0.0.1', '10.0.0.256'] }, refused(7, 'runtimeConfig.ips[1]: "10.0.0.256" is not an IP address')],
  [{ ips: [5] }, refused(7, 'runtimeConfig.ips[0]: 5 is not an IP address')],
  [{ mac: '01:00:00:00:00:01' }, refused(7, 'runtimeConfig.mac: "01:00:00:00:00:01" is not a unicast MAC address')],
  [{ mac: 7 }, refused(7, 'runtimeConfig.mac: 7 is not a unicast MAC address')],
  [{ portMappings: {} }, refused(7, 'runtimeConfig.portMappings: must be a list', '{}')],
  [{ portMappings: [80] }, refused(7, 'runtimeConfig.portMappings[0]: 80 is not an object')],
  ...(
    [
      ['hostPort', 65_536, '65536 is not a port'],
      ['hostPort', '80', '"80" is not a port'],
      ['containerPort', 0.5, '0.5 is not a port'],
      ['protocol', 'icmp', '"ICMP" is not tcp, udp or sctp'],
      ['hostIP', 'eth0', '"eth0" is not an IP address'],
    ] as const
  ).map(([name, value, why]): [object, Outcome] => [
    { portMappings: [{ hostPort: 80, containerPort: 80, [name]: value }] },
    refused(7, `runtimeConfig.portMappings[0].${name}: ${why}`),
  ]),
]
for (const [runtimeConfig, want] of runtime) {
  test(`runtimeConfig ${JSON.stringify(runtimeConfig)} is refused by name`, async () => {
    assert.deepEqual(outcome(await cni.call('ADD', cni.conf({ runtimeConfig }))), want)
  })
}
