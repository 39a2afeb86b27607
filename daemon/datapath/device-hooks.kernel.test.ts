import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { LinuxKernel } from '../kernel/linux.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
using kernel = new LinuxKernel()
const tcx = kernel.feature('tcx')

test('programs on devices by tcx links: replaced in place, kept from nobody by a device that is gone, left nowhere', {
  skip: tcx.state === 'present' ? false : 'this kernel has no tcx (Linux 6.6)',
}, async () => {
  using fs = openBpffs()
  const folder = mkdtempSync(join(tmpdir(), 'causeway-hooks-'))
  try {
    const object = join(folder, 'count.o')
    await compileObject({ root: ROOT, source: join(ROOT, 'daemon/datapath/testdata/flows-v1.bpf.c'), output: object })
    const story = join(import.meta.dirname, 'testdata/hook-story.ts')
    const { stdout } = await promisify(execFile)(
      'unshare',
      ['--net', process.execPath, story, object, fs.dir, folder],
      { timeout: 60_000 },
    )
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'attached: overlay_in on b: old, made; overlay_out on b: old, made; uplink_in on a: old, made',
      'replaced by the next daemon: overlay_in on b: fresh, kept; overlay_out on b: fresh, kept; uplink_in on a: fresh, kept',
      'one device gone: [BpfError: LINK_CREATE of tcx-ingress of device N: ENODEV] overlay_in on b: fresh, kept; overlay_out on b: fresh, kept; uplink_in on c: fresh, made',
      'known to be gone: uplink_in on c: fresh, kept',
      'wanted nowhere: nothing',
      'wanted again at once, and again: uplink_in on c: fresh, made',
      'found: c',
      'removed: nothing',
      'not pinned: [BpfError: OBJ_PIN of DIR/uplink_in_N: EPERM] nothing',
      'not pinned again: [BpfError: OBJ_PIN of DIR/uplink_in_N: EPERM] nothing',
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
