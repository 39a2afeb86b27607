/** Calls the CNI executable as a runtime does: verb and attachment in the environment, configuration on stdin. */
import { spawn } from 'node:child_process'

export interface CniCall {
  readonly env: Readonly<Record<string, string | undefined>>
  /** An object is sent as JSON. */
  readonly stdin: string | Buffer | object
}

export interface CniAnswer {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Environment of a call for an attachment; members given as undefined are left out. */
export function attachmentEnv(
  command: string,
  more: Readonly<Record<string, string | undefined>> = {},
): Record<string, string | undefined> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c0ffee',
    CNI_NETNS: '/run/netns/pod',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
    ...more,
  }
}

export async function callCni(binary: string, call: CniCall, args: readonly string[] = []): Promise<CniAnswer> {
  const env = Object.fromEntries(Object.entries(call.env).filter(([, value]) => value !== undefined))
  const child = spawn(binary, args, { env: env as NodeJS.ProcessEnv })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', chunk => stdout.push(chunk))
  child.stderr.on('data', chunk => stderr.push(chunk))
  // The executable may end without reading all of its input.
  child.stdin.on('error', () => {})
  const { stdin } = call
  child.stdin.end(typeof stdin === 'string' || Buffer.isBuffer(stdin) ? stdin : JSON.stringify(stdin))
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, name) => resolve([code, name]))
  })
  return { status, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
}
