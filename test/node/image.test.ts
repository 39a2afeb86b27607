/**
 * The image that `npm run image` makes, in containerd on a node of a lab: installs the CNI executable and runs the
 * daemon as the DaemonSet does, without privileges beyond its list, and pods start by it.
 */
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { imageContent, projectVersion } from '../../deploy/image/build.ts'
import { ownArchitecture, writeImages } from '../../deploy/image/oci-image.ts'
import { MirrorAway } from '../../deploy/image/private-apt.ts'
import { ROOT } from '../../deploy/lab/built.ts'
import { processesIn, procFile } from '../../deploy/lab/namespaces.ts'
import { isReady } from '../../deploy/lab/node.ts'
import { CAPABILITIES } from '../../daemon/capabilities.ts'
import type { Status } from '../../daemon/api/status.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import { type CriPod, failuresBetween, openStream, removePod, runPod } from '../support/cri/pod.ts'
import { ProjectPod } from '../support/cri/project-pod.ts'
import { eventually } from '../support/eventually.ts'
import { type MachineTraces, traces } from '../support/machine-traces.ts'

const NAME = 'tcriimage'
const IMAGE = 'localhost/causeway:test'
/** A program of others that the daemon starts, to ask for its versions. */
const CHAINED = [{ type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } }]
/** A configuration of another network. */
const OTHER = '10-other.conflist'
const BUILD = join(ROOT, 'build/image')

/** Writes the archive; returns in words why Debian's packages cannot be had. */
async function buildImage(archive: string): Promise<string | undefined> {
  try {
    const options = { root: ROOT, cache: join(BUILD, 'cache'), say: () => {} }
    const image = await imageContent(IMAGE, [ownArchitecture()], options)
    await writeImages(archive, [image], { cache: join(BUILD, 'layers') })
    return undefined
  } catch (error) {
    if (error instanceof MirrorAway) return error.message
    throw error
  }
}

function isDaemon(pid: number): boolean {
  const words = procFile(pid, 'cmdline')
  return words.includes('/opt/causeway/bin/causeway') && words.includes('daemon')
}

const archive = join(BUILD, 'test.tar')
const problem = await buildImage(archive)

suite("the image on a lab's node", { skip: problem ?? false }, () => {
  let start: MachineTraces
  let cluster: CriCluster
  let first: Containerd
  let project: ProjectPod
  let daemon: Awaited<ReturnType<ProjectPod['daemon']>>
  let here: CriPod
  let there: CriPod

  const ready = async (): Promise<void> =>
    await eventually(() => isReady(first.node, AbortSignal.timeout(1000)), { timeoutMs: 30_000, pollMs: 50 })

  before(async () => {
    await CriCluster.remove(NAME)
    start = traces(NAME)
    cluster = await CriCluster.up(NAME, { nodes: 2, set: [`cni.chained=${JSON.stringify(CHAINED)}`] })
    const [one, two] = cluster.runtimes as [Containerd, Containerd]
    first = one
    there = await runPod(two, 'there')
    await first.importImages(archive, [IMAGE])
    // The lab's own daemon and what it uses make room.
    await cluster.stopDaemon(first.node)
    for (const path of [
      join(first.node.paths.cniBin, 'causeway'),
      join(first.node.paths.cniConf, '05-causeway.conflist'),
    ])
      rmSync(path)
    const seccomp = join(first.system.folder, 'seccomp.json')
    copyFileSync(join(ROOT, 'deploy/image/profiles/seccomp.json'), seccomp)
    writeFileSync(join(first.node.paths.cniConf, OTHER), '{}')
    project = await ProjectPod.start(first, cluster.lab.layout, { image: IMAGE, seccomp })
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('says its version', async () => {
    const { status, log } = await project.run(['version', '-o', 'json', '--socket', '/none'])
    assert.equal(status, 0, log)
    assert.deepEqual(JSON.parse(log), { command: projectVersion(ROOT) })
  })

  test('finds nothing in the way of a daemon', async () => {
    const { status, log } = await project.run(['preflight'])
    assert.match(log, /\nnothing is in the way\n$/)
    assert.match(log, /^note +network configurations +10-other\.conflist in \S+ will be set aside/m)
    assert.equal(status, 0)
  })

  test('installs the CNI executable without any capability', async () => {
    const { status, log } = await project.install()
    assert.equal(status, 0, log)
    assert.match(log, /was put in place/)
    assert.ok(existsSync(join(first.node.paths.cniBin, 'causeway')))
    assert.match((await project.install()).log, /is in place already/)
  })

  test('runs a daemon that becomes ready and has no problems', async () => {
    daemon = await project.daemon()
    await ready()
    const { problems, build } = (await cluster.ask(first.node, '/v1/status')) as Status
    assert.deepEqual(problems, [])
    assert.equal(build.version, projectVersion(ROOT))
    // Nothing that it tried was refused by its profile or for want of a capability.
    assert.doesNotMatch(daemon.log(), /EPERM|EACCES|ENOSYS|SIGSYS/)
    assert.match(daemon.log(), /network configurations of others were set aside/)
    const aside = readdirSync(first.node.paths.cniConf)
    const list = readFileSync(join(first.node.paths.cniConf, '05-causeway.conflist'), 'utf8')
    assert.match(list, /"cniVersions": \[\s*"0\.3\.1",[\s\S]*"type": "tuning"/)
    assert.deepEqual(aside, ['05-causeway.conflist', `${OTHER}.set-aside-by-causeway`])
  })

  test('is confined as its manifest says', () => {
    const { pid } = processesIn([first.node.netnsName]).find(p => isDaemon(p.pid)) ?? {}
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const wanted = CAPABILITIES.reduce((bits, { number }) => bits | (1n << BigInt(number)), 0n)
    // Seccomp 2: by a filter (proc_pid_status(5)).
    for (const line of [`CapEff:\t${wanted.toString(16).padStart(16, '0')}`, 'NoNewPrivs:\t1', 'Seccomp:\t2'])
      assert.match(status, new RegExp(`^${line}$`, 'm'))
    assert.match(readFileSync(`/proc/${pid}/mounts`, 'utf8'), /^overlay \/ overlay ro,/m)
  })

  test('starts pods by the executable that it installed, which reach others across nodes', async () => {
    here = await runPod(first, 'here')
    assert.deepEqual(await failuresBetween(here, there), [])
    assert.deepEqual(await failuresBetween(there, here), [])
  })

  test('can be asked by its own command in the container', async () => {
    const to = `${there.addresses[0]}:7000`
    const commands: Readonly<Record<string, RegExp>> = {
      endpoints: /default\/here/,
      flows: /default\/here/,
      status: /no problems/,
      nat: /./,
      [`trace --from here --to ${to}`]: /./,
      [`metrics`]: /^causeway_build_info/m,
    }
    for (const [command, answer] of Object.entries(commands)) {
      const { stdout, stderr, status } = await first.cri.exec(daemon.id, ['causeway', ...command.split(' ')])
      assert.equal(status, 0, `${command}: ${stderr}`)
      assert.match(stdout, answer, command)
    }
  })

  test('stopped, leaves traffic alone, and started again, takes the pods over', async () => {
    const stream = await openStream(here, there)
    await first.cri.stopContainer(daemon.id, 15)
    assert.equal((await first.cri.containerStatus(daemon.id)).exitCode, 0)
    assert.equal(await isReady(first.node, AbortSignal.timeout(1000)), false)
    assert.deepEqual(await failuresBetween(there, here), [])
    daemon = await project.daemon()
    await ready()
    assert.equal(await stream.end(), '')
    const { pools } = (await cluster.ask(first.node, '/v1/status')) as Status
    assert.equal(
      pools.reduce((sum, pool) => sum + pool.used, 0),
      here.addresses.length,
    )
  })

  test('uninstalls what its daemon made, and leaves nothing', async () => {
    await removePod(here)
    await first.cri.stopContainer(daemon.id, 15)
    const { status, log } = await project.run(['uninstall'])
    assert.equal(status, 0, log)
    assert.deepEqual(readdirSync(first.node.paths.cniConf), [OTHER])
    await project[Symbol.asyncDispose]()
    await removePod(there)
    await cluster[Symbol.asyncDispose]()
    assert.deepEqual(traces(NAME), start)
  })
})
