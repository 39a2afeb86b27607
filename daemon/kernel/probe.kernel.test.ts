/** Probes against evidence of another kind: the kernel's version where the floor or a release decides, iproute2, sysfs. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FeatureName } from './kernel.ts'
import { LinuxKernel } from './linux.ts'
import { inNetns } from './netns/in-netns.ts'
import { openNewNetns } from './netns/create.ts'
import { FeatureProbes } from './probe.ts'
import { isSince } from './testdata/lacking.ts'

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
  ['tcx', isSince(6, 6)],
  ['big-tcp-ipv4', isSince(6, 3)],
  // What perf makes a kprobe with (trace_kprobe.c).
  ['kprobe', / create_local_trace_kprobe$/m.test(readFileSync('/proc/kallsyms', 'latin1'))],
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

for (const name of ['netkit', 'wireguard', 'tcx', 'trampoline', 'kprobe'] as const) {
  test(`where ${name} is absent, the answer says why and what has it`, t => {
    const feature = new FeatureProbes().feature(name)
    if (feature.state === 'present') return t.skip(`this kernel has ${name}`)
    assert.equal(feature.state, 'absent')
    assert.match(feature.reason, /^.+; it needs (Linux \d|CONFIG_)/)
  })
}

test('a process that may not load programs knows nothing of what needs one, and asks again', () => {
  const program = fileURLToPath(new URL('testdata/probe-twice.ts', import.meta.url))
  // CAP_SYS_ADMIN stands for CAP_BPF, too.
  const rights = ['--bounding-set', '-bpf,-sys_admin', '--inh-caps', '-bpf,-sys_admin']
  const command = ['setpriv', ...rights, process.execPath, program, 'xdp', 'ring-buffer', 'redirect-peer', 'tcx']
  const { stdout, stderr } = spawnSync('unshare', ['--net', ...command], { encoding: 'utf8' })
  assert.equal(stderr, '')
  for (const { name, feature, remembered } of JSON.parse(stdout) as Probed[]) {
    assert.match(feature.error ?? '', /^this process cannot load eBPF programs: PROG_LOAD .*: EPERM/, name)
    assert.deepEqual([feature.state, remembered], ['unknown', false], name)
  }
})

/** What testdata/probe-twice.ts prints of each feature. */
interface Probed {
  readonly name: string
  readonly feature: { readonly state: string; readonly error?: string }
  readonly remembered: boolean
}

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
