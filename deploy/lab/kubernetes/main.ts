/**
 * `main.ts --url URL --state FOLDER --manifests FOLDER --socket PATH [--workloads LAB --nodes N --far N]`: what a cluster has around its API server, as a
 * process of its own in the same namespace. It installs the project as its chart does (or runs what a chart installs later), carries the folder's manifests to
 * the API server, and hands connections to the socket on to it, since the namespace cannot be entered from outside. It
 * prints `ready` once all that has been done once.
 */
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { builtProject } from '../built.ts'
import { labLayout, nodeLayouts } from '../layout.ts'
import { Workloads } from './workloads.ts'
import { ApiClient } from '../api-server/client.ts'
import { installChart } from './install-chart.ts'
import { Mirror } from './mirror.ts'

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: '' },
    state: { type: 'string', default: '' },
    manifests: { type: 'string', default: '' },
    socket: { type: 'string', default: '' },
    workloads: { type: 'string' },
    nodes: { type: 'string', default: '0' },
    far: { type: 'string', default: '0' },
  },
})
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort())

const { hostname, port } = new URL(values.url)
const connections = new Set<Socket>()
const door = createServer(inside => {
  connections.add(inside)
  inside.on('close', () => {
    connections.delete(inside)
    outside.destroy()
  })
  const outside = connect({ host: hostname, port: Number(port) })
  inside.pipe(outside).pipe(inside)
  inside.on('error', () => {}) // its close follows
  outside.on('error', () => inside.destroy())
}).listen(values.socket)

const read = (file: string): string => readFileSync(join(values.state, file), 'utf8').trim()
await using admin = new ApiClient({ url: values.url, ca: read('ca.crt'), token: read('admin-token') })
// The own kinds come with the chart, and so does the pool.
if (values.workloads === undefined) await installChart(admin)
const mirror = new Mirror(admin, values.manifests, say)
await mirror.bring()
say('ready')

await Promise.all([
  mirror.run(stop.signal),
  values.workloads === undefined ? undefined : runWorkloads(values.workloads),
])
door.close()
for (const connection of connections) connection.destroy()

/** Progress, for the log. */
function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function runWorkloads(name: string): Promise<void> {
  const lab = labLayout(name)
  const nodes = nodeLayouts(lab, { nodes: Number(values.nodes), far: Number(values.far) })
  await new Workloads({ lab, nodes, built: builtProject(), admin, say }).run(stop.signal)
}
