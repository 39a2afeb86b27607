import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { OBJECT_DIRECTORY } from './objects.ts'

test('a program in front of the stack: replaced in place, off where it cannot be, left nowhere', async () => {
  using fs = openBpffs()
  const story = join(import.meta.dirname, 'testdata/xdp-story.ts')
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['--net', process.execPath, story, join(OBJECT_DIRECTORY, 'xdp.o'), fs.dir],
    { timeout: 60_000 },
  )
  const refused = 'LINK_CREATE of xdp of device N: EOPNOTSUPP'
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'attached: a native = native on a: old, made',
    'replaced by the next daemon: a native = native on a: fresh, kept',
    'another mode: a generic = generic on a: fresh, made',
    'not on a veth: a off (veth) = nothing',
    `by name to what has no driver for it: a native, br off (${refused}) = native on a: fresh, made ! services.xdp: native on br: ${refused}; auto or off do without`,
    `without being asked for: br off (${refused}) = nothing`,
    'gone: N off (LINK_CREATE of xdp of device N: EINVAL) = nothing ! services.xdp: native on N: LINK_CREATE of xdp of device N: EINVAL; auto or off do without',
    'off: off = nothing',
  ])
})
