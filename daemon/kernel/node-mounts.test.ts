import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingMounts } from './node-mounts.ts'

const WANTED = [
  { type: 'bpf', at: '/sys/fs/bpf' },
  { type: 'cgroup2', at: '/sys/fs/cgroup' },
] as const

const cases: readonly (readonly [what: string, mounts: readonly string[], missing: readonly string[]])[] = [
  ['a node with both', ['bpf /sys/fs/bpf bpf rw 0 0', 'cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0'], []],
  ['a node with neither', ['proc /proc proc rw 0 0', ''], ['/sys/fs/bpf', '/sys/fs/cgroup']],
  [
    'a node that has them elsewhere',
    ['none /run/bpf bpf rw 0 0', 'none /run/cg cgroup2 rw 0 0'],
    ['/sys/fs/bpf', '/sys/fs/cgroup'],
  ],
  [
    'a node with version 1 at that place',
    ['bpf /sys/fs/bpf bpf rw 0 0', 'tmpfs /sys/fs/cgroup tmpfs rw 0 0'],
    ['/sys/fs/cgroup'],
  ],
]
for (const [what, mounts, missing] of cases)
  test(`${what} lacks ${missing.join(' and ') || 'nothing'}`, () =>
    assert.deepEqual(
      missingMounts(mounts.join('\n'), WANTED).map(({ at }) => at),
      missing,
    ))
