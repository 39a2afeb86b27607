/** EC2 of a test's lab: what it has, what it was asked, and what goes wrong with it; and the VPC's ends of interfaces. */
import { request } from 'node:http'
import type { Faults } from '../../plugins/cloud-core/memory/frontend.ts'
import type { SeenNic } from '../../plugins/cloud-core/model.ts'
import type { Ec2State } from '../../deploy/lab/aws/server.ts'
import { vpcOf } from '../../deploy/lab/aws/vpc.ts'
import { inNamespace, mustRun } from '../../deploy/lab/command.ts'
import { ec2Socket } from '../../deploy/lab/kubernetes/control-plane.ts'
import type { LabLayout } from '../../deploy/lab/layout.ts'
import { PacketSocket } from './packet-socket.ts'

export class LabEc2 {
  readonly #lab: LabLayout

  constructor(lab: LabLayout) {
    this.#lab = lab
  }

  async state(): Promise<Ec2State> {
    return JSON.parse(await this.#ask('GET', '/lab')) as Ec2State
  }
  async nics(): Promise<readonly SeenNic[]> {
    return (await this.state()).nics
  }
  /** Interface of a node at an index of its machine; rejects when there is none. */
  async nicAt(machine: string, index: number): Promise<SeenNic> {
    const found = (await this.nics()).find(nic => nic.machine === machine && nic.index === index)
    return found ?? Promise.reject(new Error(`${machine} has no interface ${index}`))
  }

  /** Shares of calls that go wrong from now on; those that are not named do not. */
  async goWrong(faults: Partial<Faults>): Promise<void> {
    await this.#ask('PUT', '/lab/faults', JSON.stringify(faults))
  }

  /** What the VPC sees of an interface, from now on. */
  capture(nic: Pick<SeenNic, 'id'>): PacketSocket {
    return new PacketSocket(vpcOf(this.#lab).netns, nic.id)
  }

  /** Packets that the VPC has dropped because they came by another interface than their source has. */
  async refusedSources(): Promise<number> {
    const text = await mustRun(inNamespace(vpcOf(this.#lab).netns, ['cat', '/proc/net/netstat']))
    const [names = [], values = []] = text
      .split('\n')
      .filter(line => line.startsWith('TcpExt:'))
      .map(line => line.split(' '))
    return Number(values[names.indexOf('IPReversePathFilter')])
  }

  #ask(method: string, path: string, body = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      const query = request({ socketPath: ec2Socket(this.#lab), method, path, agent: false }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('error', reject)
        response.on('end', () => resolve(text))
      })
      query.on('error', reject)
      query.end(body)
    })
  }
}
