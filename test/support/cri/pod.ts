/** A pod as kubelet runs it by a container runtime: a sandbox, and in it one container that serves the probe. */
import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { familyOf } from '../../../deploy/lab/state.ts'
import type { Address } from '../../../daemon/kernel/kernel.ts'
import { inNamespace, runCommand, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../eventually.ts'
import { PROBE } from '../../../deploy/lab/built.ts'
import { POD_IMAGE } from './cluster.ts'
import type { Containerd } from './containerd.ts'
import type { PodSpec, PortMapping } from './cri-client.ts'

/** Ports of the probe's services start here. */
export const POD_PORT = 7000

export interface CriPod {
  readonly runtime: Containerd
  readonly spec: PodSpec
  readonly sandbox: string
  readonly container: string
  readonly addresses: readonly Address[]
  readonly netns: string
}

export type Protocol = 'tcp' | 'udp' | 'icmp'

export interface PodOptions {
  readonly portMappings?: readonly PortMapping[]
  /** Of its Pod object, where there is one. */
  readonly uid?: string
}

export function podSpec(name: string, { portMappings = [], uid = `uid-of-${name}` }: PodOptions = {}): PodSpec {
  return { namespace: 'default', name, uid, portMappings }
}

/** Resolves once the pod serves. */
export async function runPod(runtime: Containerd, name: string, options: PodOptions = {}): Promise<CriPod> {
  const spec = podSpec(name, options)
  const sandbox = await runtime.cri.runSandbox(spec)
  const { addresses, netns } = await runtime.cri.sandboxStatus(sandbox)
  const serve = { name: 'probe', image: POD_IMAGE, command: ['/bin/cw-probe', 'serve', `${POD_PORT}`] }
  const container = await runtime.cri.startContainer(sandbox, spec, serve)
  const pod = { runtime, spec, sandbox, container, addresses, netns }
  await eventually(async () => (await check(pod, 'tcp', '127.0.0.1', 1)).ok)
  return pod
}

/** Stops the sandbox with its container, and removes both. */
export async function removePod({ runtime, sandbox }: Pick<CriPod, 'runtime' | 'sandbox'>): Promise<void> {
  await runtime.cri.stopSandbox(sandbox)
  await runtime.cri.removeSandbox(sandbox)
}

export interface Verdict {
  readonly ok: boolean
  readonly error?: string
}

/** One check of the probe, executed by the runtime in the pod's container. */
export async function check(from: CriPod, protocol: Protocol, to: Address, bytes: number): Promise<Verdict> {
  const port = protocol === 'icmp' ? [] : [`${POD_PORT}`]
  const command = ['/bin/cw-probe', 'check', protocol, to, ...port, `${bytes}`, '--timeout', '10000']
  const { stdout, stderr } = await from.runtime.cri.exec(from.container, command)
  return stdout === '' ? { ok: false, error: stderr } : (JSON.parse(stdout) as Verdict)
}

/** Checks of all of a pod's addresses that failed, in words. */
export async function failuresBetween(from: CriPod, to: CriPod): Promise<string[]> {
  const failures: string[] = []
  for (const address of to.addresses)
    for (const protocol of ['icmp', 'tcp', 'udp'] as const)
      for (const bytes of [1, 20_000]) {
        const { ok, error } = await check(from, protocol, address, bytes)
        if (!ok) failures.push(`${from.spec.name} → ${to.spec.name} ${protocol} ${address} ${bytes}: ${error}`)
      }
  return failures
}

/** Global addresses of `eth0`, as the kernel of the pod's namespace has them, IPv4 first. */
export function addressesInside(pod: CriPod): Address[] {
  const [file = '', ...args] = inNamespace(pod.netns, [
    'ip',
    '-oneline',
    'address',
    'show',
    'dev',
    'eth0',
    'scope',
    'global',
  ])
  const lines = execFileSync(file, args, { encoding: 'utf8' })
  const addresses = [...lines.matchAll(/ inet6? ([0-9a-f.:]+)/g)].map(match => match[1] ?? '')
  return addresses.toSorted((a, b) => familyOf(a) - familyOf(b))
}

/** A check in a pod's namespace without help of its runtime: what went wrong, empty when nothing did. */
export async function checkInside(netns: string, to: Address): Promise<string> {
  const command = [PROBE, 'check', 'tcp', to, `${POD_PORT}`, '20000', '--timeout', '10000']
  const { status, stdout, stderr } = await runCommand(inNamespace(netns, command))
  return status === 0 ? '' : stdout + stderr
}

export interface Stream {
  /** Ends the connection: what went wrong while it lasted, empty when nothing did. */
  end(): Promise<string>
}

/** A connection that carries a message and its echo every 10 ms; resolves once it stands. */
export async function openStream(from: CriPod, to: CriPod): Promise<Stream> {
  const target = [PROBE, 'stream', to.addresses[0] ?? '', `${POD_PORT}`]
  const [file = '', ...args] = withParent(inNamespace(from.netns, target))
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => (await lines.next()).value ?? 'the probe ended'
  const opened = await next()
  if (!opened.startsWith('{"connected":true')) throw new Error(`no stream from ${from.spec.name}: ${opened}`)
  return {
    async end() {
      child.kill('SIGTERM')
      const line = await next()
      return line.startsWith('{"ok":true') ? '' : line
    },
  }
}
