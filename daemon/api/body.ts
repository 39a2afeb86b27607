/** Reads the JSON body of a request, within bounds. */
import type { IncomingMessage } from 'node:http'
import { ApiError } from './router.ts'

/** The CNI executable takes 4 MiB of input and passes most of it on, perhaps with more escapes than it had. */
export const BODY_LIMIT = 8 << 20

/** The parsed body, undefined when empty; throws ApiError BODY_TOO_LARGE or BAD_JSON. */
export async function readJson(request: IncomingMessage, limit = BODY_LIMIT): Promise<unknown> {
  const bytes = await readBytes(request, limit)
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new ApiError(400, 'BAD_JSON', `the body is not JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** Iterating over the request would destroy it, and with it the answer, when the limit ends the loop. */
async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const chunks: Buffer[] = []
  let length = 0
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length <= limit) chunks.push(chunk)
    else reject(new ApiError(413, 'BODY_TOO_LARGE', `the body is larger than ${limit} bytes`))
  })
  request.once('end', resolve)
  request.once('error', reject)
  request.once('close', () => reject(new ApiError(400, 'HANG_UP', 'the caller hung up within the body')))
  await promise
  return Buffer.concat(chunks)
}
