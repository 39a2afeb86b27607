/** Folders of this machine as virtiofs shares of a guest, each served by a process that ends with the guest. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { withParent } from '../../deploy/lab/command.ts'
import { eventually } from '../support/eventually.ts'

export interface Share {
  readonly tag: string
  readonly folder: string
  /** Who sees changes at once: `host` lets both sides write, `none` lets the guest keep what it has read. */
  readonly changes: 'host' | 'none'
}

const START_TIMEOUT_MS = 10_000
const END_TIMEOUT_MS = 5000

interface Variant {
  readonly path: string
  readonly options: (folder: string, cache: string) => string[]
}
/** QEMU's own (Debian 12), and the one that took its place (Debian 13). */
const VARIANTS: readonly Variant[] = [
  {
    path: '/usr/lib/qemu/virtiofsd',
    options: (folder, cache) => [
      '-o',
      `source=${folder}`,
      '-o',
      'sandbox=chroot',
      '-o',
      `cache=${cache}`,
      '-o',
      'log_level=err',
    ],
  },
  {
    path: '/usr/libexec/virtiofsd',
    options: (folder, cache) => [`--shared-dir=${folder}`, '--sandbox=chroot', `--cache=${cache}`, '--log-level=error'],
  },
]

/** Serves a share on a socket until disposed. */
export class ShareServer implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly socket: string
  readonly tag: string

  private constructor(child: ChildProcess, socket: string, tag: string) {
    this.#child = child
    this.socket = socket
    this.tag = tag
  }

  static async start({ tag, folder, changes }: Share, socket: string): Promise<ShareServer> {
    const variant = VARIANTS.find(({ path }) => existsSync(path))
    if (variant === undefined) throw new Error('there is no virtiofsd: npm run test:vm -- --help names the packages')
    const cache = changes === 'host' ? 'none' : 'always'
    const command = [variant.path, `--socket-path=${socket}`, ...variant.options(folder, cache)]
    const [file = '', ...args] = withParent(command)
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const server = new ShareServer(child, socket, tag)
    await eventually(() => existsSync(socket) || server.#ended, { timeoutMs: START_TIMEOUT_MS })
    if (server.#ended) throw new Error(`virtiofsd does not serve ${folder}: ${errors.trim()}`)
    return server
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    const end = once(this.#child, 'exit', { signal: AbortSignal.timeout(END_TIMEOUT_MS) })
    this.#child.kill('SIGTERM')
    await end.catch(() => this.#child.kill('SIGKILL'))
  }
}
