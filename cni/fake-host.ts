/**
 * The outside in memory, for tests of the program: a clock that moves only when something waits, files in a map, and a
 * daemon that is a function. It records every call that has an effect, so that a test can print what happened.
 */
import type { Exchange, Host, Reading } from './host.ts'

export interface FakeDaemonCall {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly timeoutMs: number
  /** Which call this is, from 1. */
  readonly count: number
}

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

class Exit extends Error {}

export class FakeHost implements Host {
  readonly env: Record<string, string | null> = {}
  readonly files = new Map<string, string>([['/proc/sys/kernel/random/boot_id', 'boot\n']])
  readonly directories = new Set<string>(['/', '/run'])
  /** Effects in order, one line each. */
  readonly log: string[] = []
  readonly written = { 1: '', 2: '' }
  terminal = false
  stdin: Reading = { text: '' }
  nowMs = 0
  timeUs = 1_000_000
  daemon: (call: FakeDaemonCall) => Exchange = () => ({ problem: 'ENOENT', stage: 'connect' })
  #calls = 0
  #status = -1

  /** Runs the program to its end. */
  run(program: (host: Host) => void): Ended {
    try {
      program(this)
    } catch (error) {
      if (!(error instanceof Exit)) throw error
    }
    return { status: this.#status, stdout: this.written[1], stderr: this.written[2] }
  }

  environment(name: string): string | null | undefined {
    return this.env[name]
  }

  input(limitBytes: number, timeoutMs: number): Reading {
    this.log.push(`input ${limitBytes} ${timeoutMs}`)
    return this.stdin
  }

  output(fd: 1 | 2, text: string): string {
    this.written[fd] += text
    return ''
  }

  isTerminal(): boolean {
    return this.terminal
  }

  checkJson(text: string): string {
    try {
      JSON.parse(text)
      return ''
    } catch (error) {
      return String(error)
    }
  }

  monotonicMs(): number {
    return this.nowMs
  }

  unixTimeUs(): number {
    return this.timeUs
  }

  processId(): number {
    return 42
  }

  sleep(ms: number): void {
    this.log.push(`sleep ${ms}`)
    this.nowMs += ms
  }

  exit(status: number): never {
    this.#status = status
    throw new Exit()
  }

  makeDirectory(path: string): string {
    if (this.directories.has(path)) return 'EEXIST'
    this.log.push(`mkdir ${path}`)
    this.directories.add(path)
    return ''
  }

  list(path: string): { names: string[] } | { problem: string } {
    if (!this.directories.has(path)) return { problem: 'ENOENT' }
    const inside = [...this.files.keys()].filter(file => file.startsWith(`${path}/`))
    return { names: inside.map(file => file.slice(path.length + 1)) }
  }

  readFile(path: string): Reading {
    const text = this.files.get(path)
    return text === undefined ? { problem: 'ENOENT' } : { text }
  }

  inode(path: string): number | undefined {
    return this.files.has(path) || this.directories.has(path) ? 7 : undefined
  }

  removeFile(path: string): string {
    this.log.push(`remove ${path}`)
    return this.files.delete(path) ? '' : 'ENOENT'
  }

  lock(path: string): string {
    this.log.push(`lock ${path}`)
    return ''
  }

  writeDurably(directory: string, temporary: string, name: string, text: string): string {
    this.log.push(`write ${directory}/${name} by ${temporary}`)
    this.files.set(`${directory}/${name}`, text)
    return ''
  }

  exchange(_socket: string, path: string, body: string, timeoutMs: number): Exchange {
    this.#calls++
    this.log.push(`ask ${path} within ${timeoutMs}`)
    const answer = this.daemon({ path, body: JSON.parse(body), timeoutMs, count: this.#calls })
    if (answer.problem === 'ETIMEDOUT') this.nowMs += timeoutMs
    return answer
  }
}
