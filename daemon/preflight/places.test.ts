import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Settings } from '../config/schema.ts'
import { checkBpffs } from './places.ts'

/** No bpf file system anywhere on the way. */
const settings = { paths: { bpf: '/proc/causeway' } as Settings['paths'] }

test('on a node the daemon mounts a bpf file system; in a container that would go with the container', () => {
  const node = '/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n'
  assert.deepEqual(
    checkBpffs(settings, node).map(f => f.state),
    ['note'],
  )
  const container = 'overlay / overlay ro,lowerdir=/a 0 0\nproc /proc proc rw 0 0\n'
  const [finding] = checkBpffs(settings, container)
  assert.equal(finding?.state, 'problem')
  assert.match(finding.wayOut ?? '', /mountPropagation: HostToContainer/)
})
