/**
 * `start`: from the start of the daemon's process until its programs are attached and the pods of before are restored,
 * on a node that never had a daemon and on one with 100 pods; beside it a Node process that does nothing and ends.
 */
import { mustRun } from '../../deploy/lab/command.ts'
import { against, type Bench, beside, interleave, type Result } from './bench.ts'
import { BenchNode } from './support/bench-node.ts'
import { timeSpawns } from './support/spawn-timer.ts'

const NAME = 'start'
const PODS = 100
const LIMIT_MS = 1000

export const start: Bench = {
  name: NAME,
  summary: 'start of the daemon to programs attached, fresh and with 100 pods',
  async *run(context): AsyncIterable<Result> {
    const { signal } = context
    const startOnce = async (node: BenchNode): Promise<number> => {
      const { startMs } = await node.startDaemon()
      await node.stopDaemon()
      return startMs
    }
    await using fresh = await BenchNode.create('benchstart', signal)
    await using inhabited = await BenchNode.create('benchpods', signal)
    inhabited.makePods('pod', 0, PODS)
    await inhabited.startDaemon()
    await timeSpawns([inhabited.ownStage('ADD', 'pod')], { runs: PODS, netns: inhabited.layout.netns, signal })
    await inhabited.stopDaemon()
    const samples = await interleave(
      {
        async fresh() {
          const ms = await startOnce(fresh)
          await fresh.uninstall()
          return ms
        },
        restart: () => startOnce(inhabited),
        async bare() {
          const started = performance.now()
          await mustRun([process.execPath, '-e', '0'])
          return performance.now() - started
        },
      },
      context,
    )
    for (const [what, ms] of [
      ['first start', samples.fresh],
      [`restart with ${PODS} pods`, samples.restart],
    ] as const)
      yield against({ bench: NAME, case: what, unit: 'ms', ...beside('bare Node', ms, samples.bare) }, ms, LIMIT_MS)
  },
}
