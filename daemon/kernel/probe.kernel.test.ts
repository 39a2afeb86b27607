/** Probes against evidence of another kind: the kernel's version where the floor or a release decides, iproute2, sysfs. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { release } from 'node:os'
import test from 'node:test'
import type { FeatureName } from './kernel.ts'
import { LinuxKernel } from './linux.ts'
import { inNetns } from './netns/in-netns.ts'
import { openNewNetns } from './netns/create.ts'
import { FeatureProbes } from './probe.ts'

const [major = 0, minor = 0] = release().split('.').map(Number)
const since = (wantMajor: number, wantMinor: number): boolean =>
  major > wantMajor || (major === wantMajor && minor >= wantMinor)

const floor: readonly FeatureName[] = [
  'veth',
  'bridge',
  'vxlan',
  'shared-block',
  'xdp',
  'cgroup-sock-addr',
  'big-tcp-ipv6',
  'redirect-peer',
  'ring-buffer',
]
for (const name of floor) {
  test(`${name}, which the oldest supported kernel has, is present`, () => {
    assert.deepEqual(new FeatureProbes().feature(name), { state: 'present' })
  })
}

for (const [name, present] of [
  ['tcx', since(6, 6)],
  ['big-tcp-ipv4', since(6, 3)],
  ['kprobe', existsSync('/sys/bus/event_source/devices/kprobe/type')],
] as const) {
  test(`${name} is ${present ? 'present' : 'absent'} on this kernel`, () => {
    assert.equal(new FeatureProbes().feature(name).state, present ? 'present' : 'absent')
  })
}

for (const kind of ['netkit', 'wireguard', 'dummy', 'geneve'] as const) {
  test(`${kind} is present if ip-link can make one`, () => {
    using ns = openNewNetns()
    const options = kind === 'geneve' ? ['external'] : []
    const ip = inNetns(ns.path, () =>
      spawnSync('ip', ['link', 'add', 'x', 'type', kind, ...options], { encoding: 'utf8' }),
    )
    const feature = new FeatureProbes().feature(kind)
    assert.equal(feature.state, ip.status === 0 ? 'present' : 'absent', ip.stderr)
  })
}

test('what is absent says why and what has it', () => {
  const absent = (['netkit', 'wireguard', 'tcx', 'trampoline', 'kprobe'] as const)
    .map(name => new FeatureProbes().feature(name))
    .filter(feature => feature.state === 'absent')
  for (const { reason } of absent) assert.match(reason, /^.+; it needs (Linux \d|CONFIG_)/)
})

test('whether trampolines work is known', () => {
  assert.notEqual(new FeatureProbes().feature('trampoline').state, 'unknown')
})

test('an answer is remembered', () => {
  using kernel = new LinuxKernel()
  assert.equal(kernel.feature('veth'), kernel.feature('veth'))
})

test('probing leaves nothing behind', () => {
  using kernel = new LinuxKernel()
  const names: readonly FeatureName[] = [
    ...floor,
    'tcx',
    'big-tcp-ipv4',
    'netkit',
    'wireguard',
    'dummy',
    'geneve',
    'trampoline',
    'kprobe',
  ]
  const left = (): unknown => [readdirSync('/proc/self/fd').length, kernel.net.links().map(l => l.name)]
  const before = left()
  for (const name of names) new FeatureProbes().feature(name)
  assert.deepEqual(left(), before)
})
