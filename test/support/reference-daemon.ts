/**
 * A stand-in for the daemon that gives a node its pod network by other people's CNI plugins (ptp and host-local) and
 * plain routes. The lab and its matrix are tested against it: what fails there is the lab's own fault.
 *
 *   node reference-daemon.ts --config FILE
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'
import type { NetRequest } from '../../daemon/kernel/kernel.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'

interface Configuration {
  readonly nodeName: string
  readonly paths: { readonly run: string; readonly state: string; readonly cniConf: string }
  readonly cluster: { readonly directory: string }
}
interface Node {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: { readonly podCIDRs: readonly string[] }
  readonly status: { readonly addresses: readonly { readonly address: string }[] }
}

function readNodes(directory: string): Node[] {
  return readdirSync(directory)
    .map(name => parse(readFileSync(join(directory, name), 'utf8')) as Node)
    .filter(object => object.kind === 'Node')
}

/** Pod ranges of another node, each through its address of the same family. */
function routesTo(node: Node): NetRequest[] {
  const sameFamily = (a: string, b: string): boolean => a.includes(':') === b.includes(':')
  return node.spec.podCIDRs.map(dst => {
    const via = node.status.addresses.find(a => sameFamily(a.address, dst))?.address ?? ''
    return { op: 'route-add', route: { dst, via }, replace: true }
  })
}

function conflist(own: Node, dataDir: string): string {
  const ranges = own.spec.podCIDRs.map(subnet => [{ subnet }])
  const ipam = { type: 'host-local', dataDir, ranges, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] }
  return JSON.stringify({ cniVersion: '1.0.0', name: 'reference', plugins: [{ type: 'ptp', ipam }] })
}

const { values } = parseArgs({ options: { config: { type: 'string', default: '' } }, allowPositionals: true })
const configuration = parse(readFileSync(values.config, 'utf8')) as Configuration
const { paths, nodeName } = configuration
const nodes = readNodes(configuration.cluster.directory)
const own = nodes.find(n => n.metadata.name === nodeName)
if (own === undefined) throw new Error(`no Node ${nodeName} in ${configuration.cluster.directory}`)

const kernel = new LinuxKernel()
for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) kernel.setSysctl(name, '1')
kernel.net.run(nodes.filter(n => n !== own).flatMap(routesTo))
mkdirSync(paths.cniConf, { recursive: true })
writeFileSync(join(paths.cniConf, '10-reference.conflist'), conflist(own, join(paths.state, 'host-local')))

const socket = join(paths.run, 'api.sock')
rmSync(socket, { force: true })
const server = createServer((request, response) => {
  response.writeHead(request.url === '/v1/health' ? 200 : 404).end('{}')
})
server.listen(socket)
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
