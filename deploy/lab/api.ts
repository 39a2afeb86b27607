/** Asking a node's daemon over its unix socket. */
import { request } from 'node:http'
import { createInterface } from 'node:readline'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** A GET with a JSON answer. Rejects when nobody listens. */
export async function get(socketPath: string, path: string, signal: AbortSignal): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const query = request({ socketPath, path, signal, agent: false }, response => {
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

/** A GET whose answer is one JSON object a line. Resolves once the answer has begun; lines come until the signal aborts. */
export async function follow(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  onLine: (line: unknown) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const query = request({ socketPath, path, signal, agent: false }, response => {
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
    query.on('error', reject)
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
