/**
 * V8 compiles what it runs for the first time, and the first pod of a daemon would wait for that, more than twice as
 * long as those after it. Therefore a starting daemon serves a pod that does not exist: its ADD and DEL run as any
 * other's, but in a network namespace without a name, which the kernel takes away with everything in it however this
 * process ends, and over tables, pools and a journal that are forgotten.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { answerCni } from './api/cni.ts'
import { createEndpoints, type Endpoints } from './endpoint/endpoints.ts'
import type { JournalFiles } from './endpoint/journal-files.ts'
import type { Family, Kernel, Net } from './kernel/kernel.ts'
import { openNewNetns } from './kernel/netns/create.ts'
import { createLogger } from './observe/log.ts'
import { DEFAULT_POOL, type Ipam, type Logger, type Metrics } from './plugin.ts'
import { createTables } from './state/tables.ts'

const LIMIT_MS = 5000
/** Addresses for documentation (RFC 5737, RFC 3849). */
const ADDRESSES: Readonly<Record<Family, string>> = { 4: '192.0.2.1', 6: '2001:db8::1' }
const MTU = 1500

export interface RehearsalOptions {
  readonly kernel: Kernel
  readonly families: readonly Family[]
  /** The API's, on which requests are taken already. */
  readonly socketPath: string
  readonly log: Logger
}

/** Resolves when it is over, or the signal aborts; what goes wrong is logged and of no consequence. */
export async function rehearse(options: RehearsalOptions, stop: AbortSignal): Promise<void> {
  const { kernel, families, socketPath, log } = options
  const signal = AbortSignal.any([stop, AbortSignal.timeout(LIMIT_MS)])
  try {
    using netns = openNewNetns()
    using net = kernel.openNet(netns.path)
    await using endpoints = createEndpoints({
      ...pretended,
      kernel: kernelWithin(kernel, net, netns.path),
      tables: createTables(),
      families,
      log: createLogger('info', { write: () => undefined }),
    })
    await Promise.all([askForNothing(socketPath, signal), playPod(endpoints, netns.path, signal)])
  } catch (error) {
    if (!stop.aborted) log.warn({ error }, 'the rehearsal of an ADD failed; the first pod takes longer')
  }
}

/** The daemon's part of an ADD and a DEL, with the bodies that the CNI executable sends. */
async function playPod(endpoints: Endpoints, netns: string, signal: AbortSignal): Promise<void> {
  const attachment = { network: 'rehearsal', containerId: 'rehearsal', ifName: 'eth0', deadlineMs: LIMIT_MS }
  await endpoints.restore()
  for (const [verb, body] of [
    ['add', { ...attachment, netns }],
    ['del', attachment],
  ] as const) {
    const answer = await answerCni(endpoints, verb, { body, signal })
    if ('hangUp' in answer || (answer.status ?? 200) !== 200) throw new Error(`${verb}: ${JSON.stringify(answer)}`)
  }
}

/** The server's part: a request that is refused as soon as its body has been checked. */
async function askForNothing(socketPath: string, signal: AbortSignal): Promise<void> {
  const socket = connect(socketPath)
  try {
    const headers = ['POST /v1/cni/add HTTP/1.1', 'Host: api', 'Connection: close', 'Content-Length: 2']
    socket.end(`${headers.join('\r\n')}\r\n\r\n{}`)
    socket.resume()
    await once(socket, 'close', { signal })
  } finally {
    socket.destroy()
  }
}

/** The kernel with that namespace in the place of the node's. */
function kernelWithin(kernel: Kernel, net: Net, path: string): Kernel {
  return {
    net,
    bootId: kernel.bootId,
    release: kernel.release,
    openNet: other => kernel.openNet(other),
    netnsId: other => kernel.netnsId(other),
    sysctl: (name, other = path) => kernel.sysctl(name, other),
    setSysctl: (name, value, other = path) => kernel.setSysctl(name, value, other),
    feature: name => kernel.feature(name),
  }
}

const ipam: Ipam = {
  pools: [DEFAULT_POOL],
  allocate: async ({ owner, family }) => ({ owner, family, address: ADDRESSES[family], pool: DEFAULT_POOL }),
  release: async () => {},
  restore: async () => {},
  status: () => [],
}

const metrics: Metrics = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
}

const files: JournalFiles = {
  read: () => undefined,
  create: () => 0,
  write: () => undefined,
  truncate: () => undefined,
  datasync: async () => {},
  datasyncNow: () => undefined,
  rename: () => undefined,
  syncDirectory: () => undefined,
  close: () => undefined,
}

/** What an ADD leaves elsewhere goes nowhere here. */
const pretended = {
  ipams: [ipam],
  settled: async () => {},
  blocks: () => ({ ingress: 1, egress: 2 }),
  podMtu: () => ({ device: MTU, route: MTU }),
  journalPath: '/dev/null',
  deleteQueuePath: '/proc/self/no-queue',
  metrics,
  files,
} as const
