/**
 * `main.ts --lab NAME --nodes N --port PORT --socket PATH`: EC2 of a lab, as a process of its own. It boots the nodes'
 * machines, whose first interfaces are the nodes' uplinks, answers EC2's API on loopback of the namespace it runs in and on
 * a socket for tests, and carries what happens to interfaces into the lab's namespaces. It prints `ready` once it listens.
 */
import { parseArgs } from 'node:util'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { warmThreadPool } from '../../../daemon/kernel/netns/thread-pool.ts'
import { systemClock } from '../../../daemon/state/clock.ts'
import { MemoryAws } from '../../../plugins/cloud-core/memory/aws.ts'
import { labLayout, nodeLayouts } from '../layout.ts'
import { Ec2, LIMITS } from './ec2.ts'
import { Ports } from './ports.ts'
import { ec2Server } from './server.ts'
import { machineOf, SUBNETS, vpcOf } from './vpc.ts'

const { values } = parseArgs({
  options: {
    lab: { type: 'string', default: '' },
    nodes: { type: 'string', default: '0' },
    port: { type: 'string', default: '0' },
    socket: { type: 'string', default: '' },
  },
})
const lab = labLayout(values.lab)
const machines = nodeLayouts(lab, { nodes: Number(values.nodes), cloud: 'aws' }).map(machineOf)
await warmThreadPool()
using kernel = new LinuxKernel()
using ports = new Ports({ kernel, netns: vpcOf(lab).netns, machines })
const random = Math.random
// Looks at one interface take as long as looks at all.
const cloud = new MemoryAws({ timer: systemClock, random, subnets: SUBNETS, latencies: { sweep: 150 } })
const ec2 = new Ec2(cloud, systemClock, random)

for (const { id, node, address, subnet } of machines) cloud.addMachine({ id, node, address, limits: LIMITS }, subnet)
for (const nic of cloud.nics.values()) ports.boot(nic.machine, nic)
cloud.onDevice = (machine, nic, there) => {
  say(`${nic.id} (${nic.mac}) ${there ? 'appears in' : 'goes from'} ${machine}`)
  if (there) ports.plug(machine, nic)
  else ports.unplug(nic)
}
cloud.onChange = (_before, nic) => {
  if (nic !== undefined) ports.route(nic)
}

const servers = [
  ec2Server(ec2, cloud).listen(Number(values.port), '127.0.0.1'),
  ec2Server(ec2, cloud).listen(values.socket),
]
await Promise.all(servers.map(server => new Promise(listening => server.once('listening', listening))))
say('ready')
await new Promise(stop => {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop)
})
for (const server of servers) {
  server.close()
  server.closeAllConnections()
}

/** Progress, for the log. */
function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
