/**
 * The ELF kernel within a bzImage. QEMU enters it by its PVH note: nothing is decompressed under emulation, which would
 * take longer than the boot.
 *
 * Fields: Documentation/arch/x86/boot.rst of the kernel's sources (setup_sects, payload_offset, payload_length).
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { spawnSync } from 'node:child_process'

const SETUP_SECTS = 0x1f1
const MAGIC = 0x202
const PAYLOAD_OFFSET = 0x248
const PAYLOAD_LENGTH = 0x24c
const LARGEST_BYTES = 256 << 20
/** The build appends the uncompressed size to formats that do not carry it at their end. */
const SIZE_BYTES = 4

interface Compression {
  readonly name: string
  readonly magic: readonly number[]
  readonly expand: (payload: Buffer) => Buffer
}
const COMPRESSIONS: readonly Compression[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], expand: payload => gunzipSync(payload) },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], expand: payload => zstdDecompressSync(withoutSize(payload)) },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58], expand: payload => expandBy('xz', withoutSize(payload)) },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], expand: payload => expandBy('lz4', withoutSize(payload)) },
]

/** Throws an Error that says what the image is not. */
export function vmlinuxOf(bzImage: Buffer): Buffer {
  if (bzImage.length < PAYLOAD_LENGTH + 4 || bzImage.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS')
    throw new Error('it is no bzImage: the header is missing')
  const start = (bzImage.readUInt8(SETUP_SECTS) + 1) * 512 + bzImage.readUInt32LE(PAYLOAD_OFFSET)
  const payload = bzImage.subarray(start, start + bzImage.readUInt32LE(PAYLOAD_LENGTH))
  const compression = COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => payload[i] === byte))
  if (compression === undefined)
    throw new Error(`the kernel in it is compressed in an unknown way (${payload.toString('hex', 0, 4)})`)
  const kernel = compression.expand(payload)
  if (kernel.toString('latin1', 1, 4) !== 'ELF') throw new Error('what it holds is no ELF file')
  return kernel
}

function withoutSize(payload: Buffer): Buffer {
  return payload.subarray(0, -SIZE_BYTES)
}

function expandBy(program: string, input: Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, ['-dc'], { input, maxBuffer: LARGEST_BYTES })
  if (error) throw new Error(`${program} does not run`, { cause: error })
  if (status !== 0) throw new Error(`${program}: ${stderr.toString().trim()}`)
  return stdout
}
