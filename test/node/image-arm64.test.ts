/** The image's content for the other processor, whose programs an emulator runs here. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { imageContent, projectVersion } from '../../deploy/image/build.ts'
import { type ImageContent, ownArchitecture } from '../../deploy/image/oci-image.ts'
import { MirrorAway } from '../../deploy/image/private-apt.ts'
import { writeTree } from '../../deploy/image/write-tree.ts'
import { ROOT } from '../../deploy/lab/built.ts'
import { mustRun } from '../../deploy/lab/command.ts'

const cache = join(ROOT, 'build/image/cache')
const emulator = join(cache, 'arm64/tools/own/usr/bin/qemu-aarch64-static')

/** In words why it cannot be made here. */
async function content(): Promise<ImageContent | string> {
  if (ownArchitecture() === 'arm64') return 'arm64 is the own processor'
  try {
    return await imageContent('localhost/causeway:test', ['arm64'], { root: ROOT, cache, say: () => {} })
  } catch (error) {
    if (error instanceof MirrorAway) return error.message
    throw error
  }
}

const image = await content()

suite('the image for arm64', { skip: typeof image === 'string' ? image : false }, () => {
  const laidOut = () => {
    const tree = mkdtempSync(join(tmpdir(), 'cw-arm64-'))
    if (typeof image === 'string') return { tree, [Symbol.dispose]: () => {} }
    for (const { layers } of image.platforms) for (const layer of layers) writeTree(tree, layer.tree, 0)
    return { tree, [Symbol.dispose]: () => rmSync(tree, { recursive: true }) }
  }

  test('has programs of that processor, which run', async () => {
    using at = laidOut()
    const home = join(at.tree, 'opt/causeway')
    for (const file of ['bin/node', 'cni/causeway', 'node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node']) {
      // ELF: e_machine is EM_AARCH64.
      assert.equal(readFileSync(join(home, file)).readUInt16LE(18), 183, file)
    }
    const env = { ...process.env, CNI_COMMAND: 'VERSION' }
    const versions = await mustRun([emulator, join(home, 'cni/causeway')], { input: '{"cniVersion":"1.1.0"}', env })
    assert.deepEqual(JSON.parse(versions), {
      cniVersion: '1.1.0',
      supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
    const bundle = join(home, 'build/daemon/causeway.cjs')
    const command = [
      emulator,
      '-L',
      at.tree,
      join(home, 'bin/node'),
      bundle,
      'version',
      '-o',
      'json',
      '--socket',
      '/none',
    ]
    assert.deepEqual(JSON.parse(await mustRun(command)), { command: projectVersion(ROOT) })
  })
})
