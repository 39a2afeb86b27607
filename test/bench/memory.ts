/** `memory`: resident size of the bundled daemon, idle and with pods, beside a Node process that does nothing. */
import { against, type Bench, type Result } from './bench.ts'
import { BenchNode } from './support/bench-node.ts'
import { residentMb, residentMbOfBareNode } from './support/resident.ts'
import { timeSpawns } from './support/spawn-timer.ts'

const NAME = 'memory'
/** Pods, and MB that the daemon may hold with them; without a figure it is printed only. */
const STEPS: readonly { readonly pods: number; readonly limitMb?: number }[] = [
  { pods: 0, limitMb: 90 },
  { pods: 102, limitMb: 100 },
  { pods: 250 },
]
const MOST = Math.max(...STEPS.map(s => s.pods))

export const memory: Bench = {
  name: NAME,
  summary: 'resident size of the daemon: idle, with 102 and with 250 pods',
  async *run({ say, signal }): AsyncIterable<Result> {
    await using node = await BenchNode.create('benchmem', signal)
    node.makePods('pod', 0, MOST)
    const { pid } = await node.startDaemon()
    const bare = { peer: 'bare Node', peerValue: await residentMbOfBareNode() }
    const add = node.ownStage('ADD', 'pod')
    let present = 0
    for (const { pods, limitMb } of STEPS) {
      say(`${pods} pods`)
      const runs = pods - present
      if (runs > 0) await timeSpawns([add], { runs, first: present, netns: node.layout.netns, signal })
      present = pods
      const ours = await residentMb(pid)
      const what = { bench: NAME, case: pods === 0 ? 'idle' : `${pods} pods`, unit: 'MB', ...bare }
      if (limitMb !== undefined) yield against(what, [ours], limitMb)
      else yield { ...what, ours, ratio: ours / bare.peerValue, samples: 1 }
    }
  },
}
