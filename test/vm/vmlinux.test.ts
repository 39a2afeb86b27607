import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { vmlinuxOf } from './vmlinux.ts'

const KERNEL = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(5000, 7)])
const SIZE = Buffer.from([0x88, 0x13, 0, 0])

/** Two sectors of set-up code, then the protected-mode part, in which the payload lies at an offset of 16. */
function bzImage(payload: Buffer): Buffer {
  const image = Buffer.alloc(3 * 512 + 16 + payload.length + 100, 0xee)
  image.writeUInt8(2, 0x1f1)
  image.write('HdrS', 0x202, 'latin1')
  image.writeUInt32LE(16, 0x248)
  image.writeUInt32LE(payload.length, 0x24c)
  payload.copy(image, 3 * 512 + 16)
  return image
}

for (const [name, payload] of [
  ['gzip', gzipSync(KERNEL)],
  ['zstd, with its size appended,', Buffer.concat([zstdCompressSync(KERNEL), SIZE])],
] as const)
  test(`a kernel compressed with ${name} is found`, () => {
    assert.deepEqual(vmlinuxOf(bzImage(payload)), KERNEL)
  })

for (const [what, image, message] of [
  ['no image', Buffer.from('hello'), /no bzImage/],
  ['an unknown compression', bzImage(Buffer.from('abcdefgh')), /unknown way \(61626364\)/],
  ['a payload that is no kernel', bzImage(gzipSync('text')), /no ELF file/],
] as const)
  test(`${what} is refused in words`, () => {
    assert.throws(() => vmlinuxOf(image), message)
  })
