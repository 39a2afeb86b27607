/**
 * Archives in the interchange format ustar (POSIX.1-2017, pax, section ustar): everything belongs to root and is of one
 * time, so that the same files give the same bytes.
 */
import { bytesOf, type Entry, type Tree, wholeTree } from './tree.ts'

const BLOCK = 512
const TYPES = { file: '0', link: '2', directory: '5' } as const

/** The archive's bytes in parts. `seconds` is the time that all entries bear. Throws RangeError for a path too long. */
export function* tar(tree: Tree, seconds: number): Generator<Uint8Array> {
  for (const [path, entry] of wholeTree(tree)) {
    const content = entry.kind === 'file' ? bytesOf(entry.content) : new Uint8Array()
    yield header(path, entry, content.length, seconds)
    yield content
    yield new Uint8Array(-content.length & (BLOCK - 1))
  }
  yield new Uint8Array(2 * BLOCK)
}

/** Of each field: where it begins, and how many bytes it takes with its end. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  prefix: [345, 155],
} as const

function header(path: string, entry: Entry, size: number, seconds: number): Uint8Array {
  const block = Buffer.alloc(BLOCK)
  const put = (field: keyof typeof FIELDS, text: string): void => {
    const [at, length] = FIELDS[field]
    if (Buffer.byteLength(text) > length) throw new RangeError(`${path}: too long for an archive: ${text}`)
    block.write(text, at, length)
  }
  const octal = (field: keyof typeof FIELDS, value: number): void =>
    put(field, value.toString(8).padStart(FIELDS[field][1] - 1, '0'))
  const [prefix, name] = split(entry.kind === 'directory' ? `${path}/` : path)
  put('name', name)
  put('prefix', prefix)
  octal('mode', entry.kind === 'link' ? 0o777 : entry.mode)
  octal('uid', 0)
  octal('gid', 0)
  octal('size', size)
  octal('mtime', seconds)
  put('type', TYPES[entry.kind])
  if (entry.kind === 'link') put('linkName', entry.target)
  put('magic', 'ustar\x0000')
  // The sum is taken with spaces in its own place.
  put('checksum', ' '.repeat(FIELDS.checksum[1]))
  const sum = block.reduce((total, byte) => total + byte, 0)
  put('checksum', `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

/** A name that is too long goes on in the prefix, at a slash. */
function split(path: string): readonly [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= FIELDS.name[1]) return ['', path]
  const at = path.indexOf('/', path.length - FIELDS.name[1] - 1)
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)]
}
