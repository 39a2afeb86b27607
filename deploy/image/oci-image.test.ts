import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type ImageContent, writeImages } from './oci-image.ts'
import { textOf } from './tree.ts'

function image(text: string): ImageContent {
  const layers = [
    { about: 'first', tree: new Map([['etc/motd', textOf('hello\n')]]) },
    { about: 'second', tree: new Map([['bin/it', textOf(text, 0o755)]]) },
  ]
  const platform = { layers, entrypoint: ['/bin/it'], path: '/bin', user: '7:7' }
  return {
    name: 'localhost/it:1',
    platforms: [
      { architecture: 'amd64', ...platform },
      { architecture: 'arm64', ...platform },
    ],
    annotations: { 'org.opencontainers.image.title': 'it' },
  }
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'cw-oci-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

interface Descriptor {
  readonly digest: string
  readonly size: number
  readonly platform?: { readonly architecture: string }
  readonly annotations?: Readonly<Record<string, string>>
}

/** A layout's blobs, whose names are what they should be. */
function blobsOf(layout: string): (descriptor: Descriptor) => Buffer {
  const at = join(layout, 'blobs/sha256')
  for (const name of readdirSync(at))
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(at, name)))
        .digest('hex'),
      name,
    )
  return ({ digest, size }) => {
    const bytes = readFileSync(join(at, digest.replace('sha256:', '')))
    assert.equal(bytes.length, size)
    return bytes
  }
}

test('index, manifests, configurations and layers lead from one to the next', async () => {
  using at = folder()
  const layout = join(at.path, 'layout')
  const cache = join(at.path, 'cache')
  const digests = await writeImages(layout, [image('1')], { seconds: 86_400, cache })
  const blob = blobsOf(layout)
  const read = <T>(descriptor: Descriptor): T => JSON.parse(blob(descriptor).toString()) as T
  const top = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { readonly manifests: [Descriptor] }
  const [named] = top.manifests
  assert.equal(named.digest, digests['localhost/it:1'])
  assert.equal(named.annotations?.['org.opencontainers.image.ref.name'], 'localhost/it:1')
  const { manifests } = read<{ readonly manifests: readonly Descriptor[] }>(named)
  assert.deepEqual(
    manifests.map(m => m.platform?.architecture),
    ['amd64', 'arm64'],
  )
  for (const manifest of manifests) {
    const { config, layers } = read<{ readonly config: Descriptor; readonly layers: readonly Descriptor[] }>(manifest)
    const { architecture, created, rootfs, ...rest } = read<{
      readonly architecture: string
      readonly created: string
      readonly rootfs: { readonly diff_ids: readonly string[] }
      readonly config: object
    }>(config)
    assert.deepEqual([architecture, created], [manifest.platform?.architecture, '1970-01-02T00:00:00Z'])
    assert.deepEqual(rest.config, {
      User: '7:7',
      Env: ['PATH=/bin'],
      Entrypoint: ['/bin/it'],
      Labels: { 'org.opencontainers.image.title': 'it' },
    })
    const plain = layers.map(l =>
      createHash('sha256')
        .update(gunzipSync(blob(l)))
        .digest('hex'),
    )
    assert.deepEqual(
      rootfs.diff_ids,
      plain.map(digest => `sha256:${digest}`),
    )
  }
})

test('the same content gives the same digest and the same archive, other content another', async () => {
  using at = folder()
  const write = async (name: string, text: string): Promise<readonly [string | undefined, Buffer]> => {
    const archive = join(at.path, `${name}.tar`)
    const digests = await writeImages(archive, [image(text)], { cache: join(at.path, name) })
    return [digests['localhost/it:1'], readFileSync(archive)]
  }
  const first = await write('first', '1')
  assert.deepEqual(await write('again', '1'), first)
  assert.notEqual((await write('other', '2'))[0], first[0])
})

test('nothing is left beside what was written, also when it cannot be', async () => {
  using at = folder()
  await writeImages(join(at.path, 'it.tar'), [image('1')])
  const broken = { ...image('1'), platforms: [{ ...image('1').platforms[0], layers: [badLayer] }] }
  await assert.rejects(writeImages(join(at.path, 'it.tar'), [broken as ImageContent]), RangeError)
  assert.deepEqual(readdirSync(at.path), ['it.tar'])
})
const badLayer = { about: 'bad', tree: new Map([['x'.repeat(101), textOf('')]]) }
