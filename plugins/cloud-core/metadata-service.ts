/** The metadata service of a cloud's machines: facts of the machine that asks, over HTTP by a link-local address. */
import { request } from 'node:http'
import { CausewayError } from '../../daemon/plugin.ts'

/** What a machine is, as it is told itself. Of addresses it says nothing that is still true when it is read. */
export interface MachineFacts {
  /** As `Machine.id`. */
  readonly id: string
  readonly type: string
  /** As nodes' label topology.kubernetes.io/zone has it. */
  readonly zone: string
  readonly region: string
  /** Of its first interface; empty where the service does not say. */
  readonly subnet: string
}

/** The service does not answer, or not what it should. */
export class MetadataError extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('METADATA', message, options)
  }
}

export interface MetadataRequest {
  readonly method?: 'GET' | 'PUT'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** It is on the machine's own host: what has not come by then does not come. */
const TIMEOUT_MS = 2000
const MOST_BYTES = 256 * 1024

/** The body of an answer with status 200; throws MetadataError. `base` such as `http://169.254.169.254`. */
export async function askMetadata(
  base: string,
  { method = 'GET', path, headers, signal }: MetadataRequest,
): Promise<string> {
  const what = `${method} ${base}${path}`
  try {
    const { status, body } = await fetchText(new URL(path, base), method, headers, signal)
    if (status !== 200) throw new MetadataError(`${what}: status ${status}`)
    return body
  } catch (error) {
    if (error instanceof MetadataError) throw error
    throw new MetadataError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** An object of JSON; throws MetadataError. */
export async function askMetadataObject(
  base: string,
  asked: MetadataRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const body = await askMetadata(base, asked)
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {
    // Said below.
  }
  throw new MetadataError(`GET ${base}${asked.path}: the answer is no JSON object`)
}

/** A text of an answer that must be there; throws MetadataError. */
export function textIn(object: Readonly<Record<string, unknown>>, name: string): string {
  const value = object[name]
  if (typeof value !== 'string' || value === '')
    throw new MetadataError(`the answer of the metadata service lacks ${name}`)
  return value
}

async function fetchText(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly body: string }>()
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const options = { method, headers: { ...headers, 'content-length': 0 }, signal: limit, agent: false }
  const sent = request(url, options, response => {
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      body += part
      if (body.length > MOST_BYTES) sent.destroy(new Error('the answer is too long'))
    })
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    response.on('error', reject)
  })
  sent.on('error', error => reject(limit.aborted ? limit.reason : error))
  sent.end()
  return await promise
}
