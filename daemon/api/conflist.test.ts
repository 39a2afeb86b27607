import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { removeConflist, renderConflist, writeConflist } from './conflist.ts'

const settings = {
  network: 'causeway',
  socket: '/run/c/api.sock',
  deleteQueue: '/run/c/deletes',
  addTimeoutMs: 60_000,
  chained: [{ type: 'portmap' }],
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
        capabilities: { ips: true, mac: true },
      },
      { type: 'portmap' },
    ],
  })
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
