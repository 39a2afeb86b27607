/** A big cluster's API server in a process of its own, as the bench that started it sees it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Counts } from '../../../deploy/lab/api-server/counters.ts'
import { ROOT } from '../../../deploy/lab/built.ts'
import { inNamespace, withParent } from '../../../deploy/lab/command.ts'
import { controlPlaneOf } from '../../../deploy/lab/kubernetes/control-plane.ts'
import { bare, type LabLayout } from '../../../deploy/lab/layout.ts'
import type { ClusterSize } from './big-cluster.ts'

export type ChangeKind = 'slice' | 'service' | 'heartbeat' | 'pod elsewhere'

export type Question =
  | { readonly ask: 'counters' }
  | {
      readonly ask: 'changes'
      readonly kind: ChangeKind
      readonly count: number
      /** 0: one after another. */
      readonly perSecond: number
      /** Odd ones change, even ones change back. */
      readonly round: number
    }
export type Asked = Question & { readonly id: number }

/** A change that was made. */
export interface Made {
  /** Of the service, node or pod. */
  readonly index: number
  /** `process.hrtime` when it was asked for, the same clock in all processes. */
  readonly atNs: string
  readonly answeredNs: string
}

interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

export class ClusterServer implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #last = 0

  /** In the lab's namespace `control`. Resolves once it listens, with the cluster loaded. */
  static async start(lab: LabLayout, size: ClusterSize): Promise<ClusterServer> {
    const [address = ''] = lab.control.addresses
    const script = join(ROOT, 'test/bench/support/cluster-process.ts')
    const command = [process.execPath, script, bare(address), controlPlaneOf(lab).state, JSON.stringify(size)]
    const [file = '', ...args] = inNamespace(lab.control.netns, withParent(command))
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const server = new ClusterServer(child)
    await server.#reply(0)
    return server
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id)
      this.#waiting.delete(reply.id)
      if (reply.error === undefined) waiting?.resolve(reply.value)
      else waiting?.reject(new Error(reply.error))
    })
    child.once('exit', status => {
      for (const waiting of this.#waiting.values()) waiting.reject(new Error(`the API server ended (${status})`))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async counters(): Promise<Counts> {
    return (await this.#ask({ ask: 'counters' })) as Counts
  }

  async change(what: Omit<Extract<Question, { ask: 'changes' }>, 'ask'>): Promise<readonly Made[]> {
    return (await this.#ask({ ask: 'changes', ...what })) as readonly Made[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ((this.#child.exitCode ?? this.#child.signalCode) !== null) return
    const ended = new Promise(done => this.#child.once('exit', done))
    this.#child.kill('SIGKILL')
    await ended
  }

  #ask(question: Question): Promise<unknown> {
    const id = ++this.#last
    const reply = this.#reply(id)
    this.#child.send({ id, ...question })
    return reply
  }

  #reply(id: number): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    return waiting.promise
  }
}
