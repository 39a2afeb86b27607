/** Two network namespaces joined by a wire, for what crosses it; iproute2 sets them up. */
import { spawn } from 'node:child_process'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { createNetns, deleteNetns } from '../../../daemon/kernel/netns/create.ts'
import { PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, mustRun, runCommand, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../../support/eventually.ts'

export type End = 'a' | 'b'
/** Of the wire, by end (RFC 5737, RFC 3849). */
export const WIRE: Readonly<Record<End, readonly [string, string]>> = {
  a: ['192.0.2.1', '2001:db8::1'],
  b: ['192.0.2.2', '2001:db8::2'],
}
/** For what crosses it, in networks of 24 and 64 bits. */
export const INNER: Readonly<Record<End, readonly [string, string]>> = {
  a: ['198.51.100.1', '2001:db8:1::1'],
  b: ['198.51.100.2', '2001:db8:1::2'],
}
const PORT = 9000

export class TwoHosts implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack

  static async create(): Promise<TwoHosts> {
    await using stack = new AsyncDisposableStack()
    using kernel = new LinuxKernel()
    for (const end of ['a', 'b'] as const) {
      createNetns(netnsOf(end))
      stack.defer(() => deleteNetns(netnsOf(end)))
    }
    using net = kernel.openNet(netnsOf('a'))
    net.run([{ op: 'link-add', link: { kind: 'veth', name: 'wire', peer: { name: 'wire', netns: netnsOf('b') } } }])
    const hosts = new TwoHosts(stack)
    for (const end of ['a', 'b'] as const) await hosts.ip(end, 'link set lo up', ...addressing(end, 'wire', WIRE))
    stack.use(await serve())
    return new TwoHosts(stack.move())
  }

  private constructor(stack: AsyncDisposableStack) {
    this.#stack = stack
  }

  netns(end: End): string {
    return netnsOf(end)
  }

  /** Runs commands of ip(8), in order, in one process. */
  async ip(end: End, ...commands: readonly string[]): Promise<string> {
    return await this.run(end, ['ip', '-batch', '-'], commands.join('\n'))
  }

  async run(end: End, command: readonly string[], input?: string): Promise<string> {
    return await mustRun(inNamespace(netnsOf(end), command), input === undefined ? {} : { input })
  }

  /** What does not come back whole from `b` at these addresses, asked by `a`. */
  async failures(addresses: readonly string[]): Promise<string[]> {
    const checks = addresses.flatMap(address => [
      ['tcp', address, `${PORT}`, '64000'],
      ['udp', address, `${PORT}`, '1000'],
      ['icmp', address, '1000'],
    ])
    const failed: string[] = []
    for (const check of checks) {
      const { status, stdout, stderr } = await runCommand(inNamespace(netnsOf('a'), [PROBE, 'check', ...check]))
      if (status !== 0) failed.push(`${check.join(' ')}: ${stdout}${stderr}`)
    }
    return failed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

/** The commands of ip(8) that give a device its end's addresses and set it up. */
export function addressing(end: End, device: string, of: typeof WIRE): string[] {
  const [v4, v6] = of[end]
  return [`address add ${v4}/24 dev ${device}`, `address add ${v6}/64 dev ${device} nodad`, `link set ${device} up`]
}

function netnsOf(end: End): string {
  return `/run/netns/cw-crossing-${process.pid}-${end}`
}

async function serve(): Promise<Disposable> {
  const [file = '', ...args] = inNamespace(netnsOf('b'), withParent([PROBE, 'serve', `${PORT}`]))
  const child = spawn(file, args, { stdio: 'ignore' })
  child.on('error', () => {}) // then nobody answers below
  const check = inNamespace(netnsOf('b'), [PROBE, 'check', 'tcp', '127.0.0.1', `${PORT}`, '1'])
  await eventually(async () => (await runCommand(check)).status === 0)
  return { [Symbol.dispose]: () => child.kill('SIGKILL') }
}
