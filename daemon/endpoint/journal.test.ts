import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { Attachment } from './attachment.ts'
import { codeOf } from './errors.ts'
import { type JournalFiles, nodeFiles } from './journal-files.ts'
import { decode, encodeHeader, encodeRecord } from './journal-format.ts'
import { Journal, type JournalOptions } from './journal.ts'

/** Microseconds since 1970. */
const NOW = 1_700_000_100_000_000

interface Place extends Disposable {
  readonly path: string
  readonly log: FakeLog
  open(change?: Partial<JournalOptions>): Journal
}

function place(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'cw-journal-'))
  const path = join(directory, 'state', 'journal')
  const log = new FakeLog()
  return {
    path,
    log,
    open: change => new Journal({ path, bootId: 'boot-1', files: nodeFiles(), log, now: () => NOW, ...change }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

function attachment(name: string): Attachment {
  const key = `causeway/${name}/eth0`
  return {
    key,
    id: 7,
    pod: { namespace: 'default', name, uid: `uid-${name}` },
    leases: [{ owner: key, family: 4, address: '10.1.0.1', pool: 'default' }],
    device: { name: 'cw0123456789ab', index: 12, mac: '02:00:00:00:00:01' },
    interface: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500 },
    routeMtu: 1450,
    netns: { dev: 4, ino: 4026532000, path: `/run/netns/${name}` },
    time: 1_700_000_000_000_000,
  }
}

function names(journal: Journal): string {
  return journal
    .entries()
    .map(entry => entry.pod.name)
    .sort()
    .join(' ')
}

test('what was added and not removed is there again', async () => {
  using at = place()
  const first = at.open()
  await Promise.all(['a', 'b', 'c'].map(name => first.add(attachment(name))))
  first.remove('causeway/b/eth0')
  first.remove('causeway/never/eth0')
  const second = at.open()
  assert.deepEqual(second.entries(), [attachment('a'), attachment('c')])
  assert.deepEqual(second.damage, { repaired: 0, lost: 0, tornBytes: 0 })
})

test('the journal can be read by its owner only', () => {
  using at = place()
  at.open()
  assert.equal(statSync(at.path).mode & 0o777, 0o600)
})

test('entries of another boot are void', async () => {
  using at = place()
  await at.open().add(attachment('a'))
  assert.equal(names(at.open({ bootId: 'boot-2' })), '')
  assert.equal(names(at.open({ bootId: 'boot-2' })), '')
})

test('all that wait at one time share one wait for the disk', async () => {
  using at = place()
  let waits = 0
  const files = nodeFiles()
  const datasync = async (fd: number): Promise<void> => {
    waits++
    await files.datasync(fd)
  }
  const journal = at.open({ files: { ...files, datasync } })
  await Promise.all(Array.from({ length: 110 }, (_, i) => journal.add(attachment(`pod-${i}`))))
  assert.ok(waits <= 2, `${waits} waits`)
})

test('after a flipped bit nothing is lost and the damage is reported', async () => {
  using at = place()
  await at.open().add(attachment('a'))
  const journal = at.open()
  await journal.add(attachment('b'))
  journal.remove('causeway/a/eth0')
  const whole = readFileSync(at.path)
  for (let bit = 0; bit < whole.length * 8; bit += 37) {
    writeFileSync(at.path, flip(whole, bit))
    const log = new FakeLog()
    const after = at.open({ log })
    assert.equal(names(after), 'b', `bit ${bit}`)
    assert.equal(after.damage.lost, 0, `bit ${bit}`)
    assert.match(log.lines.join('\n'), /the journal was damaged/, `bit ${bit}`)
  }
})

test('wherever the last write was torn, only that record can be lost', async () => {
  using at = place()
  await at.open().add(attachment('a'))
  const journal = at.open()
  const before = statSync(at.path).size
  await journal.add(attachment('b'))
  const whole = readFileSync(at.path)
  for (let length = before; length < whole.length; length++) {
    writeFileSync(at.path, whole.subarray(0, length))
    const after = at.open()
    assert.match(names(after), /^a( b)?$/, `length ${length}`)
    assert.equal(after.damage.tornBytes > 0 || length === before || names(after) === 'a b', true, `length ${length}`)
  }
})

test('a record of which both copies are damaged is reported as lost, the others stay', async () => {
  using at = place()
  const journal = at.open()
  for (const name of ['a', 'b', 'c']) await journal.add(attachment(name))
  const bytes = readFileSync(at.path)
  for (let i = bytes.indexOf('uid-b'); i >= 0; i = bytes.indexOf('uid-b', i + 1)) bytes.writeUInt8(0x58, i)
  writeFileSync(at.path, bytes)
  const after = at.open()
  assert.equal(names(after), 'a c')
  assert.equal(after.damage.lost, 1)
})

test('a journal of a newer version is refused with what to do, and left as it is', () => {
  using at = place()
  at.open()
  writeFileSync(at.path, encodeHeader({ version: 99, bootId: 'boot-1' }))
  const before = readFileSync(at.path)
  assert.throws(() => at.open(), /has version 99, this daemon knows up to 1; start the newer daemon/)
  assert.deepEqual(readFileSync(at.path), before)
})

test('a journal of an older version is migrated record by record', () => {
  using at = place()
  at.open()
  const old = { op: 'add', item: attachment('a') }
  writeFileSync(at.path, Buffer.concat([encodeHeader({ version: 0, bootId: 'boot-1' }), encodeRecord(1, old)]))
  const rename = (payload: unknown): unknown => {
    const { op, item } = payload as typeof old
    return { op, attachment: item }
  }
  assert.equal(names(at.open({ migrations: new Map([[0, rename]]) })), 'a')
})

test('a grown journal is rewritten while ADDs go on, and keeps what lives', async () => {
  using at = place()
  const journal = at.open({ compactBytes: 20_000 })
  for (let i = 0; i < 200; i++) {
    await Promise.all([journal.add(attachment(`a-${i}`)), journal.add(attachment(`b-${i}`))])
    journal.remove(`causeway/a-${i}/eth0`)
    if (i >= 3) journal.remove(`causeway/b-${i - 3}/eth0`)
  }
  assert.ok(statSync(at.path).size < 40_000, `${statSync(at.path).size} bytes`)
  const after = at.open()
  assert.equal(names(after), 'b-197 b-198 b-199')
  assert.equal(after.damage.lost, 0)
})

test('a disk that is full fails the ADD with its cause, and the journal goes on once there is room', async () => {
  using at = place()
  const disk = { full: false }
  const journal = at.open({ files: fullWhen(disk) })
  await journal.add(attachment('a'))
  disk.full = true
  await assert.rejects(journal.add(attachment('b')), error => {
    assert.equal(codeOf(error), 'JOURNAL')
    return error instanceof Error && codeOf(error.cause) === 'ENOSPC'
  })
  assert.throws(() => journal.remove('causeway/a/eth0'))
  assert.equal(names(journal), '')
  disk.full = false
  await journal.add(attachment('c'))
  const after = at.open()
  assert.equal(names(after), 'a c')
  assert.equal(after.damage.lost, 0)
})

test('a change of an entry that cannot be written leaves the entry as it was', async () => {
  using at = place()
  const disk = { full: false }
  const journal = at.open({ files: fullWhen(disk) })
  await journal.add(attachment('a'))
  disk.full = true
  await assert.rejects(journal.add({ ...attachment('a'), routeMtu: 1300 }))
  assert.equal(journal.entries()[0]?.routeMtu, 1450)
  assert.equal(at.open().entries()[0]?.routeMtu, 1450)
})

test('a daemon starts with a journal it cannot write, and holds what it read', async () => {
  using at = place()
  await at.open().add(attachment('a'))
  const disk = { full: true }
  const journal = at.open({ files: fullWhen(disk) })
  assert.equal(names(journal), 'a')
  assert.match(at.log.lines.join('\n'), /the journal cannot be written/)
  await assert.rejects(journal.add(attachment('b')), error => codeOf(error) === 'JOURNAL')
  disk.full = false
  await journal.add(attachment('c'))
  assert.equal(names(at.open()), 'a c')
})

test('what was released is remembered for an hour, or until somebody has it again', async () => {
  using at = place()
  const first = at.open()
  const other = {
    ...attachment('b'),
    leases: [{ owner: 'b', family: 4, address: '10.1.0.2', pool: 'default' }],
  } as const
  await first.add(attachment('a'))
  await first.add(other)
  first.remove(attachment('a').key)
  first.remove(other.key)
  const addresses = (journal: Journal) => journal.released().map(({ lease, time }) => `${lease.address} ${time - NOW}`)
  assert.deepEqual(addresses(at.open()), ['10.1.0.1 0', '10.1.0.2 0'])
  await at.open().add(attachment('c'))
  assert.deepEqual(addresses(at.open()), ['10.1.0.2 0'])
  assert.deepEqual(addresses(at.open({ now: () => NOW + 3_600_000_000 })), [])
})

test('a journal says whether attachments of this boot may be missing from it', async () => {
  using at = place()
  assert.equal(at.open().complete, false)
  await at.open().add(attachment('a'))
  assert.equal(at.open().complete, true)
  assert.equal(at.open({ bootId: 'boot-2' }).complete, false)
  assert.equal(at.open({ bootId: 'boot-2' }).complete, true)
})

test('a journal that was closed takes no more, since its file may be the next daemon’s', async () => {
  using at = place()
  const journal = at.open()
  await journal.add(attachment('a'))
  await journal[Symbol.asyncDispose]()
  const bytes = readFileSync(at.path)
  await assert.rejects(journal.add(attachment('b')), error => codeOf(error) === 'JOURNAL')
  assert.throws(
    () => journal.remove(attachment('a').key),
    error => codeOf(error) === 'JOURNAL',
  )
  assert.deepEqual(readFileSync(at.path), bytes)
})

test('whichever bit flips, the reader finds every record', () => {
  const records = [
    { op: 'add', attachment: attachment('a') },
    { op: 'del', key: 'causeway/b/eth0' },
  ]
  const header = { version: 1, bootId: 'boot-1' }
  const whole = Buffer.concat([encodeHeader(header), ...records.map((record, i) => encodeRecord(i + 1, record))])
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const decoded = decode(flip(whole, bit))
    assert.deepEqual([decoded.header, ...decoded.records], [header, ...records], `bit ${bit}`)
    assert.equal(decoded.lost, 0, `bit ${bit}`)
    assert.ok(decoded.repaired + decoded.tornBytes > 0, `bit ${bit}`)
  }
})

function flip(whole: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(whole)
  flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return flipped
}

/** A disk that takes half of a write and then refuses. */
function fullWhen(disk: { readonly full: boolean }): JournalFiles {
  const files = nodeFiles()
  return {
    ...files,
    write: (fd, bytes, offset) => {
      files.write(fd, disk.full ? bytes.subarray(0, bytes.length >> 1) : bytes, offset)
      if (disk.full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  }
}

const texts = (journal: Journal, of = 'default'): string =>
  [...journal.notes(of)].map(([key, text]) => `${key}=${text}`).join(' ')

test('notes are there again after any boot, those written last at the end, each for whom they are of', async () => {
  using at = place()
  const first = at.open()
  for (const note of ['a1', 'b2', 'c3', 'a4'])
    await first.note({ of: 'default', key: note.slice(0, 1), text: note.slice(1) })
  await first.note({ of: 'default', key: 'b' })
  await first.note({ of: 'other', key: 'a', text: '9' })
  await first.add(attachment('x'))
  for (const bootId of ['boot-1', 'boot-2', 'boot-3']) {
    const next = at.open({ bootId })
    assert.equal(texts(next), 'c=3 a=4')
    assert.equal(texts(next, 'other'), 'a=9')
    assert.equal(next.notesComplete, true)
  }
})

test('a note is on the disk when its write resolves, also while the journal is rewritten', async () => {
  using at = place()
  const journal = at.open({ compactBytes: 1500 })
  for (let i = 0; i < 40; i++) {
    await journal.note({ of: 'default', key: `k${i % 7}`, text: String(i) })
    const { records } = decode(readFileSync(at.path))
    const last = records.findLast(record => (record as { readonly key?: string }).key === `k${i % 7}`)
    assert.equal((last as { readonly text?: string }).text, String(i))
  }
  await Promise.all(Array.from({ length: 60 }, (_, i) => journal.note({ of: 'default', key: `m${i}`, text: '1' })))
  assert.equal(at.open({ bootId: 'boot-2' }).notes('default').size, 67)
})

test('without a journal, or when records of it are lost, notes may be missing', async () => {
  using at = place()
  const first = at.open()
  assert.equal(first.notesComplete, false)
  await first.note({ of: 'default', key: 'a', text: '1' })
  await first.note({ of: 'default', key: 'b', text: '2' })
  const bytes = readFileSync(at.path)
  const spoilt = Buffer.from(bytes)
  // Both copies of the first note.
  for (let i = spoilt.indexOf('"a"'); i >= 0; i = spoilt.indexOf('"a"', i)) spoilt[i + 1] = 0x7a
  writeFileSync(at.path, spoilt)
  const second = at.open()
  assert.deepEqual([texts(second), second.notesComplete], ['b=2', false])
  assert.equal(at.open().notesComplete, true)
})

test('a note that the disk refuses may still be written later, and is not taken for durable', async () => {
  using at = place()
  const files = nodeFiles()
  let full = false
  const journal = at.open({
    files: {
      ...files,
      datasync: fd => (full ? Promise.reject(new Error('no space left')) : files.datasync(fd)),
    },
  })
  full = true
  await assert.rejects(journal.note({ of: 'default', key: 'a', text: '1' }), { code: 'JOURNAL' })
  assert.equal(texts(journal), 'a=1')
})
