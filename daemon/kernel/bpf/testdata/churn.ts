/** Adds and deletes entries of the map pinned at the path on the command line, until the pin has gone. */
import { existsSync } from 'node:fs'
import { bytes, codec } from '../layout.ts'
import { mapFromPin } from '../map.ts'

const FIRST = 1000
const COUNT = 300
const [path = ''] = process.argv.slice(2)
using map = mapFromPin(path, codec(bytes(8), bytes(8)))
if (!map) throw new Error(`nothing is pinned at ${path}`)
const value = new Uint8Array(8)
/** Length 32 and an address where the map is an LPM trie; eight bytes like any other where it is a hash. */
const keys = Array.from({ length: COUNT }, (_, i) => {
  const key = new DataView(new ArrayBuffer(8))
  key.setUint32(0, 32, true)
  key.setUint32(4, FIRST + i, false)
  return new Uint8Array(key.buffer)
})
while (existsSync(path)) {
  for (const key of keys) map.update(key, value)
  for (const key of keys) map.delete(key)
}
