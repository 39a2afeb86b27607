/**
 * `main.ts --url URL --state FOLDER --manifests FOLDER --socket PATH`: what a cluster has around its API server, as a
 * process of its own in the same namespace. It installs the project as its chart does, carries the folder's manifests to
 * the API server, and hands connections to the socket on to it, since the namespace cannot be entered from outside. It
 * prints `ready` once all that has been done once.
 */
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ApiClient } from '../api-server/client.ts'
import { installChart } from './install-chart.ts'
import { Mirror } from './mirror.ts'

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: '' },
    state: { type: 'string', default: '' },
    manifests: { type: 'string', default: '' },
    socket: { type: 'string', default: '' },
  },
})
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort())

const { hostname, port } = new URL(values.url)
const door = createServer(inside => {
  const outside = connect({ host: hostname, port: Number(port) })
  inside.pipe(outside).pipe(inside)
  inside.on('error', () => outside.destroy())
  outside.on('error', () => inside.destroy())
}).listen(values.socket)

const read = (file: string): string => readFileSync(join(values.state, file), 'utf8').trim()
await using admin = new ApiClient({ url: values.url, ca: read('ca.crt'), token: read('admin-token') })
await installChart(admin)
const mirror = new Mirror(admin, values.manifests)
await mirror.bring()
process.stdout.write('ready\n')
await mirror.run(stop.signal)
door.close()
