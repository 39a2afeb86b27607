/** Lines of text out of bytes that arrive in pieces. */
import type { Readable } from 'node:stream'

/**
 * The lines of a stream without their ends; a last one that has no end is not whole and is left out. `heard` is told the
 * bytes of each piece.
 */
export async function* linesOf(stream: Readable, heard: (bytes: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of stream as AsyncIterable<Buffer>) {
    heard(piece.length)
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
}
