/**
 * What a runtime asks of a pod's network besides an interface: ports of the node that lead to it, which ours serves, and
 * sysctls, which Debian's `tuning`, chained behind ours by `cni.chained`, sets in the pod.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Address } from '../../daemon/kernel/kernel.ts'
import { bare, type NodeLayout } from '../../deploy/lab/layout.ts'
import { inNamespace, mustRun, runCommand } from '../../deploy/lab/command.ts'
import { PROBE } from '../../deploy/lab/built.ts'
import { inStation } from '../../deploy/lab/inside.ts'
import { eventually } from '../support/eventually.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import { flowsOfPod } from '../support/cri/flows-of-pod.ts'
import { check, type CriPod, POD_PORT, removePod, runPod } from '../support/cri/pod.ts'

const NAME = 'tchain'
const CHAINED = [{ type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } }]
const HOST_PORT = 8080
const PORTS = (['TCP', 'UDP'] as const).map(protocol => ({ protocol, containerPort: POD_PORT, hostPort: HOST_PORT }))

/** Someone who uses the port of the node, by which address, and as whom the pod sees them. */
interface Client {
  readonly who: string
  readonly netns: string
  readonly to: Address
  readonly seenAs: Address
  /** A process of the node, not of a pod. */
  readonly ofNode?: true
}

for (const mode of ['native', 'overlay'])
  suite(`host ports and plugins chained behind ours, routing ${mode}`, () => {
    let cluster: CriCluster
    let first: Containerd
    let second: Containerd
    let server: CriPod
    let clients: readonly Client[]

    before(async () => {
      const set = [`routing.mode=${mode}`, `cni.chained=${JSON.stringify(CHAINED)}`]
      cluster = await CriCluster.up(NAME, { set })
      ;[first, second] = cluster.runtimes as [Containerd, Containerd]
      server = await runPod(first, 'server', { portMappings: PORTS })
      clients = await allClients()
    })
    after(() => cluster?.[Symbol.asyncDispose]())

    async function allClients(): Promise<Client[]> {
      const neighbour = await runPod(first, 'neighbour')
      const remote = await runPod(second, 'remote')
      const { outside } = cluster.lab.layout
      const own = first.node.addresses.map(bare)
      const from = (who: string, netns: string, seenAs: readonly Address[]): Client[] =>
        own.map((to, family) => ({ who, netns, to, seenAs: seenAs[family] ?? '' }))
      return [
        ...from('outside', outside.netns, outside.addresses.map(bare)),
        ...from('the other node', second.node.netns, second.node.addresses.map(bare)),
        ...from('a pod on the other node', remote.netns, remote.addresses),
        ...from('a pod on the node', neighbour.netns, neighbour.addresses),
        // Else it would answer itself past us.
        ...from('the pod itself', server.netns, own),
        ...from('the node', first.node.netns, own).map(client => ({ ...client, ofNode: true as const })),
        ...['127.0.0.1', '::1'].map((to, family) => ({
          who: 'the node by loopback',
          netns: first.node.netns,
          to,
          seenAs: own[family] ?? '',
          ofNode: true as const,
        })),
      ]
    }

    test('stand in the network configuration in their order', () => {
      const { plugins } = conflist(first.node)
      assert.deepEqual([plugins[0]?.type, ...plugins.slice(1)], ['causeway', ...CHAINED])
      assert.equal(plugins[0]?.capabilities?.portMappings, true)
    })

    test('are never called with a version that they do not speak', async () => {
      const spoken = await Promise.all(CHAINED.map(({ type }) => spokenBy(join(first.node.paths.cniBin, type))))
      const { cniVersions } = conflist(first.node)
      assert.deepEqual(
        cniVersions,
        ['0.3.1', '0.4.0', '1.0.0', '1.1.0'].filter(v => spoken.every(versions => versions.includes(v))),
      )
    })

    test('tune the pod and not the node', async () => {
      const read = ['cat', '/proc/sys/net/core/somaxconn']
      assert.equal(await mustRun(inNamespace(server.netns, read)), '500\n')
      assert.notEqual(await mustRun(inNamespace(first.node.netns, read)), '500\n')
    })

    for (const protocol of ['tcp', 'udp'] as const)
      test(`open a ${protocol} port of the node, whose clients the pod sees`, async () => {
        for (const client of clients) {
          const what = `${client.who} by ${protocol} to ${client.to}`
          assert.equal(await useHostPort(cluster, client, protocol), '', what)
          const address = server.addresses[client.to.includes(':') ? 1 : 0] ?? ''
          const seen = flowsOfPod(first.node, address, POD_PORT).filter(flow => flow.peer === client.seenAs)
          assert.ok(seen.length > 0, `${what} was not seen as ${client.seenAs}`)
        }
      })

    test('leave flows between pods their short way', async () => {
      const direct = await runPod(second, 'direct')
      for (const [family, address] of server.addresses.entries()) {
        assert.equal((await check(direct, 'tcp', address, 20_000)).ok, true)
        const flows = flowsOfPod(first.node, address, POD_PORT).filter(f => f.peer === direct.addresses[family])
        assert.deepEqual([...new Set(flows.map(f => f.viaStack))], [false])
      }
      await removePod(direct)
    })

    test('close the port when the pod is removed', async () => {
      await removePod(server)
      await eventually(async () => (await useHostPort(cluster, clients[0] as Client, 'tcp', 300)) !== '')
    })
  })

for (const [type, why] of [
  ['bandwidth', 'it cannot share a device with the clsact qdisc'],
  ['portmap', 'host ports are served by the datapath itself'],
] as const)
  test(`${type} is refused by name before anything is started`, async t => {
    const folder = mkdtempSync(join(tmpdir(), `causeway-${type}-`))
    t.after(() => rmSync(folder, { recursive: true }))
    const config = join(folder, 'config.yaml')
    writeFileSync(config, `cni: {chained: [{type: ${type}, capabilities: {}}]}\n`)
    const causeway = join(import.meta.dirname, '../../build/daemon/causeway.cjs')
    const { status, stderr } = await runCommand([process.execPath, causeway, 'daemon', '--config', config])
    assert.notEqual(status, 0)
    assert.ok(stderr.includes(`cni.chained.0.type: ${type} is refused: ${why}`), stderr)
  })

function conflist({ paths }: NodeLayout) {
  return JSON.parse(readFileSync(join(paths.cniConf, '05-causeway.conflist'), 'utf8')) as {
    readonly cniVersions: readonly string[]
    readonly plugins: readonly { readonly type: string; readonly capabilities?: Readonly<Record<string, boolean>> }[]
  }
}

async function spokenBy(executable: string): Promise<readonly string[]> {
  const text = await mustRun([executable], { env: { CNI_COMMAND: 'VERSION' }, input: '{"cniVersion":"1.0.0"}' })
  return (JSON.parse(text) as { readonly supportedVersions: readonly string[] }).supportedVersions
}

/** What went wrong; empty when the pod answered. */
async function useHostPort(
  { lab }: CriCluster,
  { netns, to, ofNode }: Client,
  protocol: 'tcp' | 'udp',
  timeoutMs = 5000,
): Promise<string> {
  const command = [PROBE, 'check', protocol, to, `${HOST_PORT}`, '20000', '--timeout', `${timeoutMs}`]
  const station = lab.stations.find(({ kind, netns: of }) => kind === 'node' && of === netns)
  const there = ofNode && station ? inStation(lab, station, command) : inNamespace(netns, command)
  const { status, stdout, stderr } = await runCommand(there)
  return status === 0 ? '' : stdout + stderr
}
