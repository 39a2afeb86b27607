/** A backend's pod ends: whoever speaks to it hears of that at once, by connections as by datagrams. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { withParent } from '../../deploy/lab/command.ts'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { inStation } from '../../deploy/lab/inside.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'

const VIP = '10.97.0.1'
const PORT = 80
const NODE_PORT = 30_100
const LISTENER = join(import.meta.dirname, 'testdata/udp-listener.ts')
/** TCP sends again after 200 ms at the earliest, and after twice as long each time: nobody waits for a second try. */
const HEARD_MS = 1500

for (const mode of ['native', 'overlay'])
  suite(`by routing.mode=${mode}, of a pod that ends`, () => {
    let cluster: Cluster
    before(async () => {
      cluster = await Cluster.start(`clend${mode[0]}`, { nodes: 2, pods: 2, set: [`routing.mode=${mode}`] })
    })
    after(() => cluster?.[Symbol.asyncDispose]())

    const write = (name: string, protocol: 'TCP' | 'UDP', ...stations: readonly string[]): void => {
      const items = serviceObjects({
        name,
        clusterIPs: [VIP],
        ports: [{ protocol, port: PORT, targetPort: ECHO_PORT, nodePort: NODE_PORT }],
        endpoints: stations.map(station => cluster.station(station)),
        spec: { type: 'NodePort' },
      })
      writeManifest(cluster.lab.layout, `test-${name}`, { apiVersion: 'v1', kind: 'List', items })
    }

    test('a UDP socket that a service has led to it is ended; the next one is led elsewhere', async () => {
      write('datagrams', 'UDP', 'node2-b')
      const node1 = cluster.node('node1')
      await eventually(async () =>
        (await node1.table('frontends')).some(row => row.service === 'default/datagrams' && row.backends.length > 0),
      )
      const [service, pod] = [
        await listen(cluster, VIP, PORT),
        await listen(cluster, cluster.station('node2-b').address(4), ECHO_PORT),
      ]
      write('datagrams', 'UDP', 'node2-a')
      assert.equal(await service.said(/^ended/), 'ended ECONNABORTED')
      assert.equal((await cluster.station('node1-a').check('udp', VIP, PORT, 10)).ok, true)
      assert.equal(pod.child.exitCode, null, 'who spoke to the pod itself is left alone')
      pod.child.kill()
      assert.equal(await node1.metric('causeway_service_sockets_ended_total'), 1)
    })

    test('connections are reset, from pods of both nodes, a node and outside', async () => {
      write('connections', 'TCP', 'node1-b')
      const ways = [
        ['node1-a', VIP, PORT],
        ['node2-a', VIP, PORT],
        ['node2-a', cluster.station('node1-b').address(4), ECHO_PORT],
        ['node2-a', cluster.station('node1-b').address(6), ECHO_PORT],
        ['outside', cluster.station('node1').address(4), NODE_PORT],
        ['outside', cluster.station('node2').address(4), NODE_PORT],
      ] as const
      const streams = await Promise.all(
        ways.map(async ([from, address, port]) => {
          const station = cluster.station(from)
          await eventually(async () => (await station.check('tcp', address, port, 10, '--timeout', 300)).ok)
          return await station.stream(address, port)
        }),
      )
      await cluster.deletePod('node1', 1)
      const deadline = AbortSignal.timeout(HEARD_MS)
      const late = once(deadline, 'abort').then(() => undefined)
      for (const [i, stream] of streams.entries()) {
        const result = await Promise.race([stream.ended, late])
        assert.match(result?.error ?? 'nothing was heard', /reset/i, ways[i]?.join(' '))
      }
    })
  })

interface Listener {
  readonly child: ChildProcess
  readonly said: (what: RegExp) => Promise<string>
}

/** A datagram socket of pod node1-a, in its node's cgroup, once it has heard an answer. */
async function listen(cluster: Cluster, address: string, port: number): Promise<Listener> {
  const station = cluster.lab.stations.find(s => s.name === 'node1-a')
  assert.ok(station)
  const [file = '', ...args] = withParent(
    inStation(cluster.lab, station, [process.execPath, LISTENER, address, `${port}`]),
  )
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const said = async (what: RegExp): Promise<string> => {
    await eventually(() => text.split('\n').some(line => what.test(line)))
    return text.split('\n').find(line => what.test(line)) ?? ''
  }
  await said(/^answered/)
  return { child, said }
}
