/**
 * The versions of the CNI specification that a list with chained plugins can be offered with: a runtime calls all
 * plugins of a list with one version, and a plugin that does not speak it fails the pod (code 1). Each plugin's own
 * executable is asked.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { abortable } from '../abort.ts'
import { ConfigError } from '../errors.ts'
import type { Logger } from '../plugin.ts'

export interface ChainedVersionsOptions {
  /** Where the runtime looks for executables. */
  readonly binDirectory: string
  /** Types of the chained plugins. */
  readonly types: readonly string[]
  /** What our own executable speaks, lowest first. */
  readonly own: readonly string[]
  readonly log: Logger
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5000
/** Characters; some plugins know a dozen versions. */
const LONGEST_ANSWER = 65_536
/** Of a plugin that cannot be asked: what nearly all that are in use speak. STATUS and GC come with 1.1.0. */
const ASSUMED_HIGHEST = '1.0.0'

/** The versions that all speak, lowest first. Throws ConfigError when there is none. */
export async function chainedVersions(options: ChainedVersionsOptions): Promise<readonly string[]> {
  let shared = options.own
  for (const type of new Set(options.types)) {
    const spoken = await versionsOf(type, options)
    const left = shared.filter(version => spoken.includes(version))
    if (left.length === 0)
      throw new ConfigError('cni.chained', `${type} speaks CNI ${spoken.join(', ')}, none of ${shared.join(', ')}`)
    shared = left
  }
  return shared
}

async function versionsOf(type: string, options: ChainedVersionsOptions): Promise<readonly string[]> {
  const { binDirectory, own, log, timeoutMs = TIMEOUT_MS } = options
  const executable = join(binDirectory, type)
  try {
    return readVersions(await ask(executable, timeoutMs))
  } catch (error) {
    const assumed = own.slice(0, own.indexOf(ASSUMED_HIGHEST) + 1)
    log.warn({ executable, error, assumed }, 'a chained CNI plugin cannot be asked which versions it speaks')
    return assumed
  }
}

/** Standard output of VERSION (CNI specification 1.1.0, section 2). */
async function ask(executable: string, timeoutMs: number): Promise<string> {
  const env = { ...process.env, CNI_COMMAND: 'VERSION' }
  const child = spawn(executable, [], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (text.length > LONGEST_ANSWER) reject(new Error(`VERSION answered with more than ${LONGEST_ANSWER} characters`))
  })
  child.stdin.on('error', () => {}) // one that ends without reading is judged by its answer
  child.on('error', reject)
  child.on('close', (status, signal) => {
    if (status === 0) resolve(text)
    else reject(new Error(`VERSION ended with ${signal === null ? `status ${status}` : signal}`))
  })
  child.stdin.end(JSON.stringify({ cniVersion: ASSUMED_HIGHEST }))
  try {
    return await abortable(promise, AbortSignal.timeout(timeoutMs))
  } finally {
    // Standard output may be held open by children of its own, which `close` would wait for.
    child.stdout.destroy()
    child.kill('SIGKILL')
  }
}

function readVersions(text: string): readonly string[] {
  const answer: unknown = JSON.parse(text)
  const versions =
    typeof answer === 'object' && answer !== null && 'supportedVersions' in answer
      ? answer.supportedVersions
      : undefined
  if (Array.isArray(versions) && versions.every(v => typeof v === 'string')) return versions
  throw new TypeError('VERSION was answered without supportedVersions')
}
