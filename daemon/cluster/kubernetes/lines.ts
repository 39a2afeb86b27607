/** Lines of text out of bytes that arrive in pieces. */
import type { Readable } from 'node:stream'

/** An object is no larger than etcd takes, by default 1.5 MB, and some more as JSON. */
const LONGEST = 16 * 1024 * 1024

/**
 * The lines of a stream without their ends; a last one that has no end is not whole and is left out. `heard` is told the
 * bytes of each piece. Throws when a line has more than 16 Mi characters.
 */
export async function* linesOf(stream: Readable, heard: (bytes: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of stream as AsyncIterable<Buffer>) {
    heard(piece.length)
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST) throw new RangeError('what comes has no end of line within 16 MiB')
    for (const line of lines) if (line !== '') yield line
  }
}
