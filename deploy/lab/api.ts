/** Asking a node's daemon over its unix socket. */
import { request } from 'node:http'
import { createInterface } from 'node:readline'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Of a daemon that listens; one that says nothing for so long is stuck. */
const ANSWER_TIMEOUT_MS = 5000

/** A GET with a JSON answer. Rejects when nobody listens or the answer does not come in time. */
export async function get(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  return await new Promise((resolve, reject) => {
    const query = request({ socketPath, path, signal: limit, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, body: parseJson(text) })
      })
    })
    query.on('error', reject)
    query.end()
  })
}

/** A GET whose answer is one JSON object a line. Resolves once the answer has begun, rejects as `get` does; lines come until the signal aborts. */
export async function follow(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  onLine: (line: unknown) => void,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const query = request({ socketPath, path, signal, agent: false }, response => {
      clearTimeout(limit)
      response.on('error', () => {}) // the signal ends it
      if (response.statusCode !== 200) {
        response.resume()
        return reject(new Error(`GET ${path}: status ${response.statusCode}`))
      }
      const lines = createInterface({ input: response })
      lines.on('line', line => onLine(parseJson(line)))
      lines.on('error', () => {}) // readline passes its input's errors on
      resolve()
    })
    const limit = setTimeout(() => query.destroy(new Error(`GET ${path}: no answer within ${timeoutMs} ms`)), timeoutMs)
    query.on('error', error => {
      clearTimeout(limit)
      reject(error)
    })
    query.end()
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
