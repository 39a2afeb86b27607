/** The image that `npm run image` makes, in containerd on a node of a lab. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { imageContent, projectVersion } from '../../deploy/image/build.ts'
import { ownArchitecture, writeImages } from '../../deploy/image/oci-image.ts'
import { MirrorAway } from '../../deploy/image/private-apt.ts'
import { ROOT } from '../../deploy/lab/built.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import { eventually } from '../support/eventually.ts'
import { type MachineTraces, traces } from '../support/machine-traces.ts'

const NAME = 'tcriimage'
const IMAGE = 'localhost/causeway:test'
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

const archive = join(BUILD, 'test.tar')
const problem = await buildImage(archive)

suite("the image on a lab's nodes", { skip: problem ?? false }, () => {
  let start: MachineTraces
  let cluster: CriCluster
  let first: Containerd

  before(async () => {
    await CriCluster.remove(NAME)
    start = traces(NAME)
    cluster = await CriCluster.up(NAME, { nodes: 2 })
    first = cluster.runtimes[0] as Containerd
    await first.importImages(archive, [IMAGE])
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('is run by containerd', async () => {
    const pod = { namespace: 'kube-system', name: 'version', uid: 'version', hostNetwork: true }
    const sandbox = await first.cri.runSandbox(pod)
    const security = { capabilities: [] }
    const args = ['version', '-o', 'json']
    const container = await first.cri.startContainer(sandbox, pod, { name: 'version', image: IMAGE, args, security })
    await eventually(async () => (await first.cri.containerStatus(container)).state === 'CONTAINER_EXITED')
    const log = readFileSync(first.system.path('/var/log/pods/kube-system_version_version/version.log'), 'utf8')
    assert.match(log, new RegExp(`"command": "${projectVersion(ROOT).replaceAll('.', '\\.')}"`))
    assert.equal((await first.cri.containerStatus(container)).exitCode, 0)
    await first.cri.stopSandbox(sandbox)
    await first.cri.removeSandbox(sandbox)
  })

  test('leaves nothing', async () => {
    await cluster[Symbol.asyncDispose]()
    assert.deepEqual(traces(NAME), start)
  })
})
