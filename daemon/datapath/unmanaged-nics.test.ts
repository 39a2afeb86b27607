import assert from 'node:assert/strict'
import { mkdtempDisposableSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { tellManagers } from './unmanaged-nics.ts'

test('managers of the host’s network are told which interfaces are not theirs, and when none is any more', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'cw-managers-'))
  const paths = { networkd: join(folder.path, 'systemd/network'), networkManager: join(folder.path, 'nm') }
  const files = (): string[] =>
    readdirSync(folder.path, { recursive: true })
      .map(String)
      .filter(f => f.includes('05-'))
      .sort()
  const networkd = join(paths.networkd, '05-causeway.network')
  tellManagers(paths, [])
  assert.deepEqual(readdirSync(folder.path), [])
  tellManagers(paths, ['02:00:00:00:00:12', '02:00:00:00:00:1A'])
  assert.deepEqual(files(), ['nm/05-causeway.conf', 'systemd/network/05-causeway.network'])
  assert.equal(
    readFileSync(networkd, 'utf8'),
    '# Written by causeway, which configures these network interfaces for pods.\n' +
      '[Match]\nMACAddress=02:00:00:00:00:12 02:00:00:00:00:1a\n\n[Link]\nUnmanaged=yes\n',
  )
  assert.match(
    readFileSync(join(paths.networkManager, '05-causeway.conf'), 'utf8'),
    /^\[keyfile\]\nunmanaged-devices\+=mac:02:00:00:00:00:12;mac:02:00:00:00:00:1a$/m,
  )
  // systemd reads as another user, and a file that is as it should be stays.
  const { mode, ino } = statSync(networkd)
  assert.equal(mode & 0o777, 0o644)
  tellManagers(paths, ['02:00:00:00:00:1A', '02:00:00:00:00:12'])
  assert.equal(statSync(networkd).ino, ino)
  tellManagers(paths, [])
  assert.deepEqual(files(), [])
})
