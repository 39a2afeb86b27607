/** What tests of the CNI executable share: the built binary, a folder, a fresh socket and queue for each test. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { compileCni } from '../../deploy/setup/compile-cni.mjs'
import { attachmentEnv, callCni, type CniAnswer } from './cni-call.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Exit status and the whole of standard output, as one value to compare. */
export interface Outcome {
  readonly status: number | null
  readonly stdout: unknown
}

/** The outcome of DEL, CHECK, GC and STATUS when all is well. */
export const silent: Outcome = { status: 0, stdout: '' }

export class CniFixture implements AsyncDisposable {
  readonly binary: string
  readonly folder: string
  #tests = 0

  private constructor(binary: string, folder: string) {
    this.binary = binary
    this.folder = folder
  }

  static async create(): Promise<CniFixture> {
    const { binary } = await compileCni({ root: resolve(import.meta.dirname, '../..') })
    return new CniFixture(binary, await mkdtemp(join(tmpdir(), 'cw-cni-')))
  }

  /** Another socket and queue from here on. */
  next(): void {
    this.#tests++
  }

  get socket(): string {
    return join(this.folder, `${this.#tests}.sock`)
  }

  get queue(): string {
    return join(this.folder, `${this.#tests}`, 'deletes')
  }

  conf(more: object = {}): Record<string, unknown> {
    const paths = { socket: this.socket, deleteQueue: this.queue }
    return { cniVersion: '1.1.0', name: 'causeway', type: 'causeway', ...paths, addTimeoutMs: 20_000, ...more }
  }

  /** A configuration that holds what the verb requires. */
  confFor(verb: string, more: object = {}): Record<string, unknown> {
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0' }] }
    if (verb === 'CHECK') return this.conf({ prevResult, ...more })
    return verb === 'GC' ? this.conf({ 'cni.dev/valid-attachments': [], ...more }) : this.conf(more)
  }

  call(verb: string, stdin: string | Buffer | object = this.confFor(verb), env: Env = {}): Promise<CniAnswer> {
    return callCni(this.binary, { env: attachmentEnv(verb, env), stdin })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

export function outcome(answer: CniAnswer): Outcome {
  assert.match(answer.stdout, /^$|^.*\n$/, 'standard output is one line or nothing')
  return { status: answer.status, stdout: answer.stdout === '' ? '' : JSON.parse(answer.stdout) }
}

export function refused(code: number, msg: string, details?: string, cniVersion = '1.1.0'): Outcome {
  return { status: 1, stdout: { cniVersion, code, msg, ...(details === undefined ? {} : { details }) } }
}
