/** Traffic on every kind of way through a lab, which nothing that is done to the daemons may disturb. */
import { join } from 'node:path'
import { besideStation, inStation } from '../../deploy/lab/inside.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { NODE_PORT, SERVICE_PORT, serviceAddresses } from '../../deploy/lab/service.ts'
import { familyOf } from '../../deploy/lab/state.ts'
import { Talker } from '../../deploy/lab/talker.ts'
import { type Cluster, FAMILIES } from './cluster.ts'
import type { Target, TargetResult } from './steady-traffic.ts'

/** Where traffic starts, and whether the node's programs see its sockets. */
interface Source {
  readonly station: string
  readonly sockets?: boolean
  readonly targets: readonly Target[]
}

const PROGRAM = join(import.meta.dirname, 'steady-traffic.ts')
/** Less than this, and what was done to the lab took no time. */
const LEAST_SENT = 50

/** Connections and datagrams that last, and, once asked for, requests that open a connection each. */
export class UpgradeTraffic implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #sources: readonly Source[]
  readonly #talkers: Talker[] = []

  /** Resolves once all that lasts runs. */
  static async hold(cluster: Cluster): Promise<UpgradeTraffic> {
    const traffic = new UpgradeTraffic(cluster)
    try {
      await traffic.#start('lasting')
    } catch (error) {
      await traffic[Symbol.asyncDispose]()
      throw error
    }
    return traffic
  }

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#sources = sourcesOf(cluster)
  }

  /** How many flows last. */
  get lasting(): number {
    return 2 * this.#sources.flatMap(({ targets }) => targets).length
  }

  /** From now on there are requests too. */
  async ask(): Promise<void> {
    await this.#start('requests')
  }

  /** Ends it all; what each target saw. */
  async stop(): Promise<readonly TargetResult[]> {
    for (const talker of this.#talkers) talker.end()
    const results = await Promise.all(
      this.#talkers.map(async talker => JSON.parse(await talker.last) as readonly TargetResult[]),
    )
    const idle = results.flat().filter(({ sent }) => sent < LEAST_SENT)
    if (idle.length > 0) throw new Error(`hardly used: ${idle.map(({ name }) => name).join('; ')}`)
    return results.flat()
  }

  async #start(mode: 'lasting' | 'requests'): Promise<void> {
    const { lab } = this.#cluster
    const started = this.#sources.map(async ({ station: name, sockets = false, targets }) => {
      const station = lab.stations.find(each => each.name === name)
      if (station === undefined) throw new Error(`no ${name}`)
      const program = [process.execPath, PROGRAM, mode, JSON.stringify(targets)]
      const talker = new Talker(sockets ? inStation(lab, station, program) : besideStation(station, program))
      this.#talkers.push(talker)
      const line = await talker.first
      if (line !== 'begun') throw new Error(`${name}: ${line}`)
    })
    await Promise.all(started)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const talker of this.#talkers) talker.kill()
  }
}

/** The ways; services by sockets where the node's programs see those, else by packets. */
function sourcesOf(cluster: Cluster): Source[] {
  const targets = (what: string, address: (family: 4 | 6) => string, port = PROBE_PORT): Target[] =>
    FAMILIES.map(family => ({ name: `${what}, IPv${family}`, address: address(family), port }))
  const to = (what: string, station: string): Target[] =>
    targets(what, family => cluster.station(station).address(family))
  const service = (family: 4 | 6): string =>
    serviceAddresses(cluster.lab.options).find(address => familyOf(address) === family) ?? ''
  const nodePort = (family: 4 | 6): string => cluster.station('node1').address(family)
  return [
    {
      station: 'node1-a',
      targets: [
        ...to('pod → pod', 'node1-b'),
        ...to('pod → pod, other node', 'node2-a'),
        ...to('pod → outside, as its node', 'outside'),
        ...targets('pod → service, by packet', service, SERVICE_PORT),
      ],
    },
    {
      station: 'node2-a',
      sockets: true,
      targets: [
        ...to('pod → pod, other node, back', 'node1-a'),
        ...targets('pod → service, by socket', service, SERVICE_PORT),
      ],
    },
    { station: 'node1', targets: to('node → pod, other node', 'node2-a') },
    { station: 'outside', targets: targets('outside → node port', nodePort, NODE_PORT) },
  ]
}
