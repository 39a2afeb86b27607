/**
 * A service through what a cluster's days bring: backends come and go, pods drain, a daemon dies. Clients of every kind use
 * it all along; whoever has a connection must keep it, and nobody who opens one may fail.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Address } from '../../daemon/kernel/kernel.ts'
import { runUntilItSucceeds } from './command.ts'
import { podFamilies, removeManifest, servesSockets, writeManifest } from './configuration.ts'
import { Crowd, crowdCommand, type CrowdKind, type CrowdResult } from './crowds.ts'
import { besideStation, inStation } from './inside.ts'
import { bare, PROBE_PORT } from './layout.ts'
import { daemonProcess, startDaemon, type Built } from './node.ts'
import { isRunning, send } from './namespaces.ts'
import { hasService, SERVICE_PORT } from './service.ts'
import { serviceObjects } from './service-manifest.ts'
import { familyOf, type Lab, type Station } from './state.ts'

const NAME = 'changing'
const INDEX = 90
const NODE_PORT = 30_090
/** Connections that are held, of all clients together. */
const HELD = 1000
/** Connections that each client is opening at any time. */
const DIALLED = 2
const CHANGES = 100
const CHANGE_MS = 20
/** Between a pod's steps at its end: it terminates, then it is gone. */
const DRAIN_MS = 250
const POLL_MS = 10
const BEGIN_TIMEOUT_MS = 30_000

export interface LoadContext {
  readonly built: Built
  readonly signal: AbortSignal
}

export interface LoadRow {
  readonly event: string
  readonly client: string
  readonly from: string
  /** Exchanges that were answered. */
  readonly answered: number
  readonly seconds: number
  readonly ok: boolean
  /** Empty when it is. */
  readonly error: string
}

type Part = 'ready' | 'terminating' | 'gone'

interface Client {
  readonly name: string
  readonly from: Station
  readonly address: Address
  readonly port: number
  /** The arguments that run a program where it is. */
  readonly command: (program: readonly string[]) => readonly string[]
}

/** Whether the lab has who serves while another is away, and somebody who asks. */
export function canLoad(lab: Lab): boolean {
  return hasService(lab.options) && lab.stations.filter(s => s.kind === 'pod').length > 2
}

/** Each row as soon as it is known. The lab is as before afterwards; also after a failure or an abort. */
export async function* runLoad(lab: Lab, context: LoadContext): AsyncGenerator<LoadRow> {
  const backends = lab.stations.filter(s => s.kind === 'pod').slice(1)
  const write = (parts: (backend: number) => Part): void => writeService(lab, backends, parts)
  await using crowds = new Crowds()
  using _manifest = { [Symbol.dispose]: () => removeManifest(lab.layout, `service-${NAME}`) }
  write(() => 'ready')
  const clients = clientsOf(lab)
  await Promise.all(clients.map(client => answers(client, context)))
  const startedMs = performance.now()
  const held = await crowds.begin('hold', Math.floor(HELD / clients.length), clients)
  for (const [event, happen] of Object.entries(eventsOf(lab, context, write))) {
    const beganMs = performance.now()
    const dialled = await crowds.begin('dial', DIALLED, clients)
    await happen()
    for (const [i, client] of clients.entries())
      yield rowOf(`${event}: new connections`, client, beganMs, await dialled[i]?.stop())
  }
  for (const [i, client] of clients.entries())
    yield rowOf('all of that: the same connections', client, startedMs, await held[i]?.stop())
}

function rowOf(event: string, client: Client, beganMs: number, result: CrowdResult | undefined): LoadRow {
  const { answered = 0, failures = ['nothing was heard of it'] } = result ?? {}
  const error = failures.length > 0 ? failures.join(', ') : answered === 0 ? 'nobody answered' : ''
  const seconds = (performance.now() - beganMs) / 1000
  return { event, client: client.name, from: client.from.name, answered, seconds, ok: error === '', error }
}

type Write = (parts: (backend: number) => Part) => void

function eventsOf(lab: Lab, { built, signal }: LoadContext, write: Write): Record<string, () => Promise<void>> {
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal })
  return {
    // All but the first, each in a rhythm of its own.
    [`backends come and go ${1000 / CHANGE_MS} times a second`]: async () => {
      for (let i = 1; i <= CHANGES; i++) {
        write(backend => (backend > 0 && Math.floor(i / backend) % 2 === 1 ? 'gone' : 'ready'))
        await pause(CHANGE_MS)
      }
    },
    'pods drain and end': async () => {
      const others = (part: Part, first: Part) => (backend: number) => (backend === 0 ? first : part)
      for (const step of [
        others('ready', 'terminating'),
        others('ready', 'gone'),
        others('terminating', 'ready'),
        others('gone', 'ready'),
        // Nobody is ready: those that still serve do.
        others('terminating', 'terminating'),
        others('gone', 'terminating'),
        others('ready', 'ready'),
      ]) {
        write(step)
        await pause(DRAIN_MS)
      }
    },
    'a daemon is killed and starts again': async () => {
      const [node] = lab.nodes
      const daemon = node && daemonProcess(node)
      if (node === undefined || daemon === undefined) throw new Error('no daemon runs on the first node')
      send('SIGKILL', [daemon])
      while (isRunning(daemon)) await pause(POLL_MS)
      await startDaemon(lab.layout, node, built, signal)
    },
  }
}

/** A pod by its sockets and by its packets, and the outside host by the first node's port. */
function clientsOf(lab: Lab): Client[] {
  const [family = 4] = podFamilies(lab.options)
  const pod = lab.stations.find(s => s.kind === 'pod')
  const outside = lab.stations.find(s => s.kind === 'outside')
  const node = lab.nodes[0]?.addresses.map(bare).find(address => familyOf(address) === family)
  if (pod === undefined || outside === undefined || node === undefined) throw new Error('a lab without a client')
  const inside = { from: pod, address: clusterIP(family), port: SERVICE_PORT }
  const bySocket = { ...inside, name: 'pod', command: (program: readonly string[]) => inStation(lab, pod, program) }
  return [
    ...(servesSockets(lab.options) ? [bySocket] : []),
    { ...inside, name: 'pod, by packet', command: program => besideStation(pod, program) },
    {
      name: 'outside',
      from: outside,
      address: node,
      port: NODE_PORT,
      command: program => inStation(lab, outside, program),
    },
  ]
}

function clusterIP(family: 4 | 6): Address {
  return family === 4 ? `10.96.0.${INDEX}` : `fd00:96::${INDEX}`
}

function writeService(lab: Lab, backends: readonly Station[], partOf: (backend: number) => Part): void {
  const endpoints = backends.flatMap(({ addresses, node }, i) => {
    const part = partOf(i)
    return part === 'gone' ? [] : [{ addresses, node, terminating: part === 'terminating' }]
  })
  const items = serviceObjects({
    name: NAME,
    clusterIPs: podFamilies(lab.options).map(clusterIP),
    ports: [{ protocol: 'TCP', port: SERVICE_PORT, targetPort: PROBE_PORT, nodePort: NODE_PORT }],
    endpoints,
    spec: { type: 'NodePort' },
  })
  writeManifest(lab.layout, `service-${NAME}`, { apiVersion: 'v1', kind: 'List', items })
}

/** Resolves once the client is answered. */
async function answers(client: Client, { built, signal }: LoadContext): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(BEGIN_TIMEOUT_MS)])
  const check = [built.probe, 'check', 'tcp', client.address, `${client.port}`, '1', '--timeout', '300']
  await runUntilItSucceeds(client.command(check), limit)
}

/** What was begun and not stopped is killed at the end. */
class Crowds implements AsyncDisposable {
  readonly #all: Crowd[] = []

  async begin(kind: CrowdKind, count: number, clients: readonly Client[]): Promise<readonly Crowd[]> {
    const crowds = clients.map(
      ({ command, address, port }) => new Crowd(command(crowdCommand(kind, count, address, port))),
    )
    this.#all.push(...crowds)
    await Promise.all(crowds.map(crowd => crowd.begun))
    return crowds
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const crowd of this.#all) crowd.kill()
    await Promise.allSettled(this.#all.map(crowd => crowd.ended))
  }
}
