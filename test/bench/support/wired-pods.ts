/**
 * Two pods of one node and one of another, as the lab builds them, joined by all the wires of wires.ts besides. Servers
 * run in the pods that are talked to; they and whoever talks to them share one core.
 */
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { builtProject, PROBE } from '../../../deploy/lab/built.ts'
import { nodeCgroup } from '../../../deploy/lab/cgroup.ts'
import { addNamespace } from '../../../deploy/lab/namespaces.ts'
import { ownLab } from '../../../deploy/lab/own.ts'
import { familyOf, type Lab, type Station } from '../../../deploy/lab/state.ts'
import { buildLab } from '../../../deploy/lab/up.ts'
import { mustRun } from '../../../deploy/lab/command.ts'
import { Core, type Latency, serve, SERVER_PORT } from './core.ts'
import { layWires } from './lay-wires.ts'
import { wireAddress, type WireName, type WirePlaces } from './wires.ts'

/** How a server is reached: through the pod network, in the same node or another, or by one of the wires. */
export type Way = 'pod' | 'far-pod' | WireName
export type Family = 4 | 6

export interface Throughput {
  readonly bytes: number
  readonly bitsPerSecond: number
  /** Of both ends together. */
  readonly cpuNsPerByte: number
}

export class WiredPods implements AsyncDisposable {
  readonly places: WirePlaces
  readonly #lab: Lab
  readonly #stack: AsyncDisposableStack
  readonly #core: Core
  readonly #signal: AbortSignal

  /** `name` is a lab's name; a lab of that name is built again. */
  static async create(name: string, signal: AbortSignal): Promise<WiredPods> {
    await using stack = new AsyncDisposableStack()
    const { layout } = stack.use(await ownLab(name, signal))
    const kernel = stack.use(new LinuxKernel())
    const context = { kernel, built: builtProject(), signal, say: () => {} }
    const lab = await buildLab(layout, { nodes: 2, pods: 2, set: [] }, context)
    const places = await makePlaces(lab)
    stack.use(await layWires(kernel, places))
    const core = new Core(nodeCgroup(name, 'bench'))
    for (const netns of [places.b, places.far]) stack.use(await serve(core, netns, SERVER_PORT, signal))
    return new WiredPods(lab, places, core, stack.move(), signal)
  }

  private constructor(lab: Lab, places: WirePlaces, core: Core, stack: AsyncDisposableStack, signal: AbortSignal) {
    this.places = places
    this.#lab = lab
    this.#core = core
    this.#stack = stack
    this.#signal = signal
  }

  /** Round trips, or connections with one round trip each, from the first pod. */
  async latency(mode: 'rr' | 'crr', way: Way, family: Family, seconds: number): Promise<Latency> {
    return JSON.parse(await this.#bench(mode, way, family, seconds)) as Latency
  }

  get lab(): Lab {
    return this.#lab
  }

  /** The same to any address; `inNode`: by a socket that the programs of the pod's node see. */
  async latencyTo(
    mode: 'rr' | 'crr',
    to: { readonly address: string; readonly port: number; readonly inNode: boolean },
    seconds: number,
  ) {
    const { netns, node } = station(this.#lab, 'node1-a')
    const cgroup = to.inNode ? nodeCgroup(this.#lab.layout.name, node) : undefined
    const command = [PROBE, 'bench', mode, to.address, `${to.port}`, '--seconds', `${seconds}`]
    return JSON.parse(await mustRun(this.#core.command(netns, command, cgroup), { signal: this.#signal })) as Latency
  }

  /** An address of a pod that the servers run in. */
  podAddress(family: Family): string {
    return this.#address('pod', family)
  }

  /** A stream from the first pod, with the processor time of both ends. */
  async throughput(way: Way, family: Family, seconds: number): Promise<Throughput> {
    const before = this.#core.usedUs()
    const { bytes, bitsPerSecond } = JSON.parse(await this.#bench('stream', way, family, seconds)) as Throughput
    const usedUs = this.#core.usedUs() - before
    return { bytes, bitsPerSecond, cpuNsPerByte: (usedUs * 1000) / bytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  #bench(mode: string, way: Way, family: Family, seconds: number): Promise<string> {
    const command = [PROBE, 'bench', mode, this.#address(way, family), `${SERVER_PORT}`, '--seconds', `${seconds}`]
    return mustRun(this.#core.command(station(this.#lab, 'node1-a').netns, command), { signal: this.#signal })
  }

  #address(way: Way, family: Family): string {
    if (way !== 'pod' && way !== 'far-pod') return wireAddress(way, 2, family)
    const { name, addresses } = station(this.#lab, way === 'pod' ? 'node1-b' : 'node2-a')
    const address = addresses.find(a => familyOf(a) === family)
    if (address === undefined) throw new Error(`${name} has no IPv${family} address`)
    return address
  }
}

function station(lab: Lab, name: string): Station {
  const found = lab.stations.find(s => s.name === name)
  if (found === undefined) throw new Error(`the lab has no ${name}`)
  return found
}

/** The namespaces between the pods; the lab takes them down with its own, by their names. */
async function makePlaces(lab: Lab): Promise<WirePlaces> {
  const make = async (part: string): Promise<string> => {
    const name = `${lab.layout.netnsPrefix}wire-${part}`
    await addNamespace(name)
    return `/run/netns/${name}`
  }
  return {
    a: station(lab, 'node1-a').netns,
    b: station(lab, 'node1-b').netns,
    far: station(lab, 'node2-a').netns,
    floor: await make('floor'),
    bridge: await make('bridge'),
    routed: await make('routed'),
    nft: await make('nft'),
    iptables: await make('iptables'),
    across: [await make('near'), await make('between'), await make('distant')],
  }
}
