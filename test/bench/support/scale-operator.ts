/** One operator, from its start in a cluster whose nodes have no ranges until all have. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { builtProject } from '../../../deploy/lab/built.ts'
import { inNamespace, withParent } from '../../../deploy/lab/command.ts'
import { clusterSection } from '../../../deploy/lab/kubernetes/control-plane.ts'
import type { LabLayout } from '../../../deploy/lab/layout.ts'
import { eventually } from '../../support/eventually.ts'
import { BenchNode } from './bench-node.ts'
import type { ClusterSize } from './big-cluster.ts'
import { ClusterServer } from './cluster-server.ts'
import { type MemoryFigures, memoryOf } from './process-figures.ts'

const TIMEOUT_MS = 300_000
const POLL_MS = 20

export interface OperatorFigures {
  /** From the start of the process until every node has its ranges. */
  readonly allMs: number
  /** Made by then. */
  readonly requests: number
  /** A while later. */
  readonly memory: MemoryFigures
}

export async function measureOperator(options: {
  readonly size: ClusterSize
  readonly settleMs: number
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}): Promise<OperatorFigures> {
  const { size, settleMs, say, signal } = options
  say(`an operator for ${size.nodes} nodes`)
  await using node = await BenchNode.create('benchk8sop', signal, { kubernetes: true })
  await using server = await ClusterServer.start(node.lab, size)
  const started = performance.now()
  await using operator = startOperator(node.lab)
  const made = async (): Promise<boolean> => {
    if (operator.ended()) throw new Error('the operator ended; its log is above')
    return (await server.counters()).requests['create nodenetworks.causeway.dev'] === size.nodes
  }
  await eventually(made, { timeoutMs: TIMEOUT_MS, pollMs: POLL_MS })
  const allMs = performance.now() - started
  const { requests } = await server.counters()
  await delay(settleMs, undefined, { signal })
  const total = Object.values(requests).reduce((sum, count) => sum + count, 0)
  return { allMs, requests: total, memory: memoryOf(operator.pid) }
}

function startOperator(lab: LabLayout): AsyncDisposable & { readonly pid: number; readonly ended: () => boolean } {
  const config = join(lab.root, 'operator.yaml')
  const operator = { namespace: 'kube-system', listen: '127.0.0.1:9963' }
  writeFileSync(config, stringify({ cluster: clusterSection(lab, 'causeway-operator'), operator, logLevel: 'warn' }))
  const command = [...builtProject().daemon.slice(0, -1), 'operator', '--config', config]
  const [file = '', ...args] = inNamespace(lab.control.netns, withParent(command))
  const child: ChildProcess = spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = (): boolean => (child.exitCode ?? child.signalCode) !== null
  return {
    pid: child.pid ?? 0,
    ended,
    [Symbol.asyncDispose]: async () => {
      if (ended()) return
      const exit = new Promise(done => child.once('exit', done))
      child.kill('SIGKILL')
      await exit
    },
  }
}
