/** Requests to the Compute Engine API, each made once, with a token of google-auth-library, which is loaded before the first. */
import type { AuthClient } from 'google-auth-library'
import { CloudFailure } from '../cloud-core/provider.ts'
import type { Api } from './provider-apis.ts'
import { type Asked, garbled, refusalIn, refused, unanswered, withoutToken } from './provider-failure.ts'

export interface RestOptions {
  /** Instead of Google's own; empty for that. */
  readonly endpoint: string
  /** Headers with a token for a URL; undefined for what the environment has. */
  readonly authorize: ((url: string) => Promise<Headers>) | undefined
}

export interface Asking {
  readonly about: string
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly blocks?: boolean
  readonly body?: unknown
}

const SERVICE = 'https://compute.googleapis.com'
/** All that the role allows; less cannot be asked for of this API but to read alone. */
const SCOPES = ['https://www.googleapis.com/auth/compute']

export class Rest {
  readonly #options: RestOptions
  #client: Promise<AuthClient> | undefined

  constructor(options: RestOptions) {
    this.#options = options
  }

  /** What `read` makes of the answer's JSON; throws CloudFailure, also when it throws. */
  async ask<Of, Read>(api: Api<Of>, of: Of, asking: Asking, read: (answer: unknown) => Read): Promise<Read> {
    const { about, blocks = false } = asking
    const asked: Asked = { api: api.name, writes: api.writes, about, permissions: api.permissions, blocks }
    const { endpoint } = this.#options
    const path = api.path(of)
    const url = `${endpoint === '' ? SERVICE : endpoint}/compute/v1/projects/${path}`
    const headers = await within(asking, this.#headers(url, path.slice(0, path.indexOf('/')))).catch(
      (error: unknown) => {
        throw withoutToken(error, asked)
      },
    )
    const answer = await this.#send(api, url, headers, asking, asked)
    try {
      return read(answer)
    } catch (error) {
      throw error instanceof CloudFailure ? error : garbled(asked, error instanceof Error ? error.message : '', error)
    }
  }

  async #send<Of>(api: Api<Of>, url: string, headers: Headers, asking: Asking, asked: Asked): Promise<unknown> {
    const { signal, timeoutMs, body } = asking
    headers.set('user-agent', 'causeway')
    if (body !== undefined) headers.set('content-type', 'application/json')
    try {
      signal.throwIfAborted()
      const response = await fetch(url, {
        method: api.method,
        headers,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        redirect: 'error',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const answer = parsed(text)
      if (!response.ok)
        throw refused(refusalIn(response.status, answer, response.headers.get('retry-after')), asked, Date.now())
      if (answer === undefined) throw garbled(asked, `it is no JSON: ${text.slice(0, 40)}`)
      return answer
    } catch (error) {
      throw unanswered(signal.aborted ? signal.reason : error, asked)
    }
  }

  async #headers(url: string, project: string): Promise<Headers> {
    if (this.#options.authorize !== undefined) return new Headers(await this.#options.authorize(url))
    this.#client ??= authClient(project)
    try {
      return new Headers(await (await this.#client).getRequestHeaders(url))
    } catch (error) {
      // Credentials may come later: a volume that is not mounted yet.
      this.#client = undefined
      throw error
    }
  }
}

/** The library that brings tokens takes no signal. */
async function within<T>({ signal, timeoutMs }: Asking, promise: Promise<T>): Promise<T> {
  const { promise: gaveUp, reject } = Promise.withResolvers<never>()
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const giveUp = (): void => reject(new Error(`no token: ${String(limit.reason)}`))
  limit.addEventListener('abort', giveUp, { once: true })
  if (limit.aborted) giveUp()
  try {
    return await Promise.race([promise, gaveUp])
  } finally {
    limit.removeEventListener('abort', giveUp)
  }
}

/** Without a project the library would look for one, at services that nobody may have allowed it to ask. */
async function authClient(projectId: string): Promise<AuthClient> {
  const { GoogleAuth } = await import('./sdk.ts')
  return await new GoogleAuth({ scopes: SCOPES, projectId }).getClient()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
