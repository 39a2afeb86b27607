/** Running another program and collecting what it prints. */
import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'

export interface CommandOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Ends the program with SIGKILL when aborted; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}
export interface CommandResult {
  /** Exit status; 128 plus the signal's number is not made up: a program that died by a signal has `signal` set. */
  readonly status: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, whatever its status. Rejects when it cannot be started or the signal aborts. */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = command
  options.signal?.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: options.env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const abort = (): void => {
      child.kill('SIGKILL')
    }
    options.signal?.addEventListener('abort', abort)
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdin.on('error', () => {}) // a program that ends without reading its input is no failure
    child.on('error', reject)
    child.on('close', (code, signal) => {
      options.signal?.removeEventListener('abort', abort)
      if (options.signal?.aborted) return reject(options.signal.reason as Error)
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString()
      resolve({
        status: code ?? undefined,
        signal: signal ?? undefined,
        stdout: text(stdout),
        stderr: text(stderr),
      })
    })
    child.stdin.end(options.input ?? '')
  })
}

/** The same, for a program that must succeed: its standard output, or an Error with what it wrote to standard error. */
export async function mustRun(command: readonly string[], options?: CommandOptions): Promise<string> {
  const result = await runCommand(command, options)
  if (result.status === 0) return result.stdout
  const how = result.signal ?? `status ${result.status}`
  throw new Error(`${command.join(' ')}: ${how}: ${(result.stderr || result.stdout).trim()}`)
}

/** Runs a program again and again until it succeeds. Rejects when the signal aborts. */
export async function runUntilItSucceeds(command: readonly string[], signal: AbortSignal): Promise<void> {
  while ((await runCommand(command, { signal })).status !== 0) await delay(RETRY_MS, undefined, { signal })
}
const RETRY_MS = 10

/** The arguments that run a program in a network namespace; mounts, and so bpffs, stay as they are. */
export function inNamespace(netnsPath: string, command: readonly string[]): string[] {
  return ['nsenter', `--net=${netnsPath}`, '--', ...command]
}

/** The arguments that run a program which is killed when this process dies, so that it cannot undo a clean-up later. */
export function withParent(command: readonly string[]): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', '--', ...command]
}
