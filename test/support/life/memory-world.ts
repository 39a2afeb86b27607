/** The life test's world in memory. */
import { cniError } from '../../../daemon/api/cni.ts'
import { Stopped } from '../../../daemon/kernel/memory/refuse.ts'
import type { Step } from '../../../daemon/endpoint/steps.ts'
import { isPodDevice } from '../../../daemon/datapath/pod-device.ts'
import { killAt, MemoryNode, type MemoryNodeOptions, netnsPath } from '../memory-node.ts'
import type { Answer, Observation, World } from './world.ts'

export class MemoryWorld implements World {
  readonly #node: MemoryNode
  readonly #deadlineMs: number
  #timer: NodeJS.Immediate | undefined

  private constructor(node: MemoryNode, deadlineMs: number) {
    this.#node = node
    this.#deadlineMs = deadlineMs
  }

  static async start(options: MemoryNodeOptions, deadlineMs: number): Promise<MemoryWorld> {
    return new MemoryWorld(await MemoryNode.start(options), deadlineMs)
  }

  get alive(): boolean {
    return !this.#node.daemon.kernel.stopped
  }

  add(pod: string): Promise<Answer> {
    return this.#ask(async () => {
      const result = await this.#node.add(pod, { deadlineMs: this.#deadlineMs })
      return result.ips.map(ip => ip.address.replace(/\/.*/, ''))
    })
  }
  async del(pod: string): Promise<Answer> {
    if (this.alive) return this.#ask(() => this.#node.del(pod))
    this.#node.queueDelete(pod)
    return { outcome: 'queued' }
  }
  check(pod: string): Promise<Answer> {
    return this.#ask(() => this.#node.check(pod))
  }
  gc(valid: readonly string[]): Promise<Answer> {
    return this.#ask(() => this.#node.gc(valid))
  }
  async removeNamespace(pod: string): Promise<void> {
    this.#node.machine.removeNamespace(netnsPath(pod))
  }
  async kill(): Promise<void> {
    this.#node.daemon.kill()
  }
  killAfter(moments: number): void {
    const { daemon } = this.#node
    const turn = (left: number): void => {
      if (left > 0) this.#timer = setImmediate(turn, left - 1)
      else daemon.kill()
    }
    turn(moments)
  }
  async dieAt(step: Step, nth: number): Promise<void> {
    killAt(this.#node.daemon, step, nth)
  }
  refuseAt(nth: number): void {
    this.#node.daemon.kernel.failAt(nth, 'ENOMEM')
  }
  async disarm(): Promise<void> {
    clearImmediate(this.#timer)
    this.#node.daemon.fault = () => {}
    this.#node.daemon.kernel.forgive()
  }
  async restart(dieAt?: Step | number): Promise<void> {
    try {
      const started = this.#node.restart(typeof dieAt === 'string' ? dieAt : undefined)
      if (typeof dieAt === 'number') this.killAfter(dieAt)
      await started
    } catch (error) {
      if (this.alive) throw error
    }
  }
  /** Link events are a turn of the event loop away, and the daemon's own comparison does the rest. */
  async settle(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    await this.#node.daemon.endpoints.reconcile()
  }

  async observe(): Promise<Observation> {
    const net = this.#node.machine.process().net
    const devices = net.links().filter(link => isPodDevice(link.name))
    const routes = net.routes().map(({ dst, link }) => ({ address: dst.replace(/\/.*/, ''), index: link }))
    return {
      devices: devices.map(({ name, index }) => ({ name, index })),
      leases: this.#node.daemon.ipam.leases.map(({ address, owner }) => ({ address, owner })),
      map: [...this.#node.map.entries()].map(([address, { index }]) => ({ address, index })),
      routes,
      neighbours: net.neighbours().map(({ address, link }) => ({ address, index: link })),
      leftovers: [],
    }
  }
  async reach(): Promise<undefined> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]()
  }

  async #ask(verb: () => Promise<readonly string[] | void>): Promise<Answer> {
    try {
      return { outcome: 'ok', addresses: (await verb()) ?? [] }
    } catch (error) {
      if (!this.alive || error instanceof Stopped) return { outcome: 'died' }
      const { code, msg, details } = cniError(error)
      return { outcome: 'refused', code, text: `${msg}; ${details}` }
    }
  }
}
