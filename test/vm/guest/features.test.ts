/**
 * What this kernel is known to have (release notes, Debian's configuration of its cloud kernels) against what the probes
 * find.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { describe, test } from 'node:test'
import type { FeatureName } from '../../../daemon/kernel/kernel.ts'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { isSince } from '../../../daemon/kernel/testdata/lacking.ts'

/** The release from which on Debian's cloud kernels have it. */
const SINCE: Readonly<Record<FeatureName, readonly [major: number, minor: number]>> = {
  veth: [5, 10],
  bridge: [5, 10],
  dummy: [5, 10],
  vxlan: [5, 10],
  geneve: [5, 10],
  wireguard: [5, 10],
  xdp: [5, 10],
  kprobe: [5, 10],
  trampoline: [5, 10],
  'cgroup-sock-addr': [5, 10],
  'redirect-peer': [5, 10],
  'ring-buffer': [5, 10],
  'shared-block': [5, 10],
  'big-tcp-ipv6': [5, 19],
  'big-tcp-ipv4': [6, 3],
  tcx: [6, 6],
  netkit: [6, 7],
}

describe(`Linux ${release()}`, () => {
  for (const [name, since] of Object.entries(SINCE) as [FeatureName, readonly [number, number]][]) {
    const state = isSince(...since) ? 'present' : 'absent'
    test(`${name} is ${state}`, () => {
      using kernel = new LinuxKernel()
      assert.equal(kernel.feature(name).state, state)
    })
  }

  test('eBPF programs may be security modules', () => {
    assert.ok(readFileSync('/sys/kernel/security/lsm', 'utf8').split(',').includes('bpf'))
  })
})
