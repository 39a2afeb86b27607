import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { linesOf } from './lines.ts'

async function read(pieces: Iterable<Uint8Array>): Promise<{ lines: string[]; bytes: number }> {
  const lines: string[] = []
  let bytes = 0
  for await (const line of linesOf(Readable.from(pieces), heard => (bytes += heard))) lines.push(line)
  return { lines, bytes }
}

test('lines are whole wherever the pieces end, within a letter too, and one without an end is left out', async () => {
  const text = Buffer.from('äb\n\nc€d\nrest')
  for (let at = 0; at <= text.length; at++) {
    const { lines, bytes } = await read([text.subarray(0, at), text.subarray(at)].filter(piece => piece.length > 0))
    assert.deepEqual([lines, bytes], [['äb', 'c€d'], text.length])
  }
})

test('what has no lines is not gathered for ever', async () => {
  let pieces = 0
  function* endless(): Generator<Buffer> {
    for (; pieces < 1000; pieces++) yield Buffer.alloc(1024 * 1024, 'x')
  }
  await assert.rejects(read(endless()), RangeError)
  assert.ok(pieces < 100, `${pieces} MiB were read`)
})
