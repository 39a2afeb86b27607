import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CNI_VERSIONS, removeConflist, renderConflist, writeConflist } from './conflist.ts'

const settings = {
  network: 'causeway',
  socket: '/run/c/api.sock',
  deleteQueue: '/run/c/deletes',
  addTimeoutMs: 60_000,
  chained: [{ type: 'tuning' }],
  versions: CNI_VERSIONS,
}

test('the list announces 1.0.0, offers up to 1.1.0 and puts chained plugins behind its own', () => {
  assert.deepEqual(JSON.parse(renderConflist(settings)), {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'causeway',
    plugins: [
      {
        type: 'causeway',
        socket: '/run/c/api.sock',
        deleteQueue: '/run/c/deletes',
        addTimeoutMs: 60_000,
        capabilities: { ips: true, mac: true, portMappings: true },
      },
      { type: 'tuning' },
    ],
  })
})

const announced: Readonly<Record<string, readonly string[]>> = {
  '0.4.0': ['0.3.1', '0.4.0'],
  '1.0.0': ['1.0.0', '1.1.0'],
  '1.1.0': ['1.1.0'],
}
for (const [cniVersion, versions] of Object.entries(announced))
  test(`of ${versions.join(' and ')} the list announces ${cniVersion}`, () => {
    const list = JSON.parse(renderConflist({ ...settings, versions })) as Record<string, unknown>
    assert.deepEqual([list['cniVersion'], list['cniVersions']], [cniVersion, versions])
  })

test('the list is written whole under its name only, and removed without a trace', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'conflist-'))
  try {
    await writeConflist(join(directory, 'net.d'), '05-x.conflist', renderConflist(settings))
    assert.deepEqual(await readdir(join(directory, 'net.d')), ['05-x.conflist'])
    assert.equal(await readFile(join(directory, 'net.d/05-x.conflist'), 'utf8'), renderConflist(settings))
    await removeConflist(join(directory, 'net.d'), '05-x.conflist')
    await removeConflist(join(directory, 'net.d'), '05-x.conflist')
    assert.deepEqual(await readdir(join(directory, 'net.d')), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
