import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Machine } from '../kernel/memory/machine.ts'
import type { Feature, Net } from '../kernel/kernel.ts'
import {
  choosesTcx,
  type DeviceHook,
  DeviceHooks,
  type DeviceProgram,
  hookedDevices,
  removeDeviceHooks,
} from './device-hooks.ts'

const present: Feature = { state: 'present' }
const absent: Feature = { state: 'absent', reason: 'EINVAL' }
const unknown: Feature = { state: 'unknown', error: 'EPERM' }
const refused = { name: 'NotSupported', message: /tcx: on \(EINVAL\) .* Linux 6\.6, or datapath\.tcx: auto/ }
for (const [wanted, feature, want] of [
  ['auto', present, true],
  ['auto', absent, false],
  ['auto', unknown, false],
  ['off', present, false],
  ['on', present, true],
  ['on', unknown, true],
  ['on', absent, 'refused'],
] as const)
  test(`tcx ${wanted} on a kernel where it is ${feature.state} is ${want}`, () => {
    const choose = (): boolean => choosesTcx({ feature: () => feature }, wanted)
    if (want === 'refused') assert.throws(choose, refused)
    else assert.equal(choose(), want)
  })

const NOWHERE = '/nonexistent'
const fds: Readonly<Record<DeviceProgram, number>> = {
  uplink_in: 1,
  overlay_in: 2,
  overlay_out: 3,
  uplink_out: 4,
}

function node(): { net: Net; hook: (program: DeviceProgram, name: string) => DeviceHook; shown: () => string[] } {
  const { net } = new Machine().process()
  for (const name of ['eth0', 'eth1', 'cw-vxlan'])
    net.run([{ op: 'link-add', link: { kind: 'veth', name, peer: { name: `${name}-peer` } } }])
  return {
    net,
    hook: (program, name) => ({ program, device: net.link(name)?.index ?? 0 }),
    shown: () =>
      net.qdiscs().flatMap(({ link, kind }) => {
        const at = (side: 'ingress' | 'egress'): string =>
          net
            .filters({ link, side })
            .map(f => `${f.name}@${f.priority}`)
            .join(',')
        return [`${net.link(link)?.name} ${kind} in[${at('ingress')}] out[${at('egress')}]`]
      }),
  }
}

test('without tcx programs are filters, one each side, and those no longer wanted go with their qdisc', async () => {
  const { net, hook, shown } = node()
  const hooks = new DeviceHooks(net, { tcx: false, directory: NOWHERE })
  const overlay = [hook('overlay_in', 'cw-vxlan'), hook('overlay_out', 'cw-vxlan')]
  for (let time = 0; time < 2; time++) {
    await hooks.apply([hook('uplink_in', 'eth0'), ...overlay], name => fds[name])
    assert.deepEqual(shown(), [
      'eth0 clsact in[uplink_in@202] out[]',
      'cw-vxlan clsact in[overlay_in@202] out[overlay_out@202]',
    ])
  }
  await hooks.apply([hook('uplink_in', 'eth1'), ...overlay.slice(1)], name => fds[name])
  assert.deepEqual(shown(), ['cw-vxlan clsact in[] out[overlay_out@202]', 'eth1 clsact in[uplink_in@202] out[]'])
})

test("other people's filters and qdiscs stay", async () => {
  const { net, hook, shown } = node()
  net.run([
    { op: 'clsact-add', link: 'eth0' },
    { op: 'filter-replace', at: { link: 'eth0', side: 'ingress' }, priority: 1, programFd: 9, name: 'theirs' },
  ])
  await new DeviceHooks(net, { tcx: false, directory: NOWHERE }).apply([hook('uplink_in', 'eth0')], name => fds[name])
  assert.deepEqual(shown(), ['eth0 clsact in[theirs@1,uplink_in@202] out[]'])
  assert.deepEqual(hookedDevices(net, NOWHERE, 'uplink_in'), [hook('uplink_in', 'eth0').device])
  removeDeviceHooks(net, NOWHERE)
  assert.deepEqual(shown(), ['eth0 clsact in[theirs@1] out[]'])
})

test('a device that is gone keeps no other from its program, and nothing is removed before all are attached', async () => {
  const { net, hook, shown } = node()
  const hooks = new DeviceHooks(net, { tcx: false, directory: NOWHERE })
  await hooks.apply([hook('uplink_in', 'cw-vxlan')], name => fds[name])
  const gone = hook('uplink_in', 'eth0')
  net.run([{ op: 'link-delete', link: 'eth0' }])
  await assert.rejects(
    hooks.apply([gone, hook('uplink_in', 'eth1')], name => fds[name]),
    { code: 'ENODEV' },
  )
  assert.deepEqual(shown(), ['cw-vxlan clsact in[uplink_in@202] out[]', 'eth1 clsact in[uplink_in@202] out[]'])
})
