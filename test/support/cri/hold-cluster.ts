/** A run to be killed: builds the cluster of the name given, runs a pod, prints the processes as JSON and waits. */
import { CriCluster } from './cluster.ts'
import { runPod } from './pod.ts'

const cluster = await CriCluster.up(process.argv[2] ?? '', { nodes: 1 })
for (const runtime of cluster.runtimes) {
  const { netns } = await runPod(runtime, 'held')
  const processes = [...runtime.system.processes(), ...runtime.system.processesOfPod(netns)]
  process.stdout.write(`${JSON.stringify(processes)}\n`)
}
setInterval(() => {}, 60_000)
