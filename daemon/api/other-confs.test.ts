import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { NetworkClaim, type NetworkClaimOptions } from './network-claim.ts'
import { otherConfs, putBack, setAside } from './other-confs.ts'

const OWN = '05-causeway.conflist'

function folder(...names: readonly string[]) {
  const path = mkdtempSync(join(tmpdir(), 'cw-confs-'))
  const write = (name: string, text = name): void => writeFileSync(join(path, name), text)
  for (const name of names) write(name)
  return {
    path,
    write,
    names: () => readdirSync(path).toSorted(),
    read: (name: string) => readFileSync(join(path, name), 'utf8'),
    claim: (options: Partial<NetworkClaimOptions> = {}) =>
      new NetworkClaim({ directory: path, own: OWN, exclusive: true, log: new FakeLog(), ...options }),
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  }
}

test('what runtimes would read besides ours is found in their order', () => {
  using at = folder('10-b.conf', '00-a.json', OWN, '20-c.conflist', '.hidden.conf', 'notes.txt', 'x.conf.bak')
  mkdirSync(join(at.path, '30-folder.conf'))
  assert.deepEqual(otherConfs(at.path, OWN), ['00-a.json', '10-b.conf', '20-c.conflist'])
  assert.deepEqual(otherConfs(join(at.path, 'none'), OWN), [])
})

test('others are set aside and put back, the newest of a name', () => {
  using at = folder('10-b.conf', '20-c.conflist', OWN)
  assert.deepEqual(setAside(at.path, OWN), ['10-b.conf', '20-c.conflist'])
  assert.deepEqual(at.names(), [OWN, '10-b.conf.set-aside-by-causeway', '20-c.conflist.set-aside-by-causeway'])
  at.write('10-b.conf', 'newer')
  setAside(at.path, OWN)
  at.write('20-c.conflist', 'newest')
  putBack(at.path)
  assert.deepEqual(at.names(), [OWN, '10-b.conf', '20-c.conflist'])
  assert.deepEqual([at.read('10-b.conf'), at.read('20-c.conflist')], ['newer', 'newest'])
})

test('nothing is touched before ours is written', () => {
  using at = folder('10-b.conf')
  const claim = at.claim()
  assert.deepEqual(at.names(), ['10-b.conf'])
  claim.begin()
  assert.deepEqual([at.names(), claim.problems], [['10-b.conf.set-aside-by-causeway'], []])
})

test('one that comes back is set aside again, and that is a problem for an hour', async () => {
  using at = folder(OWN, '10-b.conf')
  const clock = new FakeClock()
  const log = new FakeLog()
  const claim = at.claim({ clock, log })
  const stop = new AbortController()
  const running = claim.run(stop.signal)
  claim.begin()
  for (const times of ['once', '2 times']) {
    at.write('10-b.conf')
    await eventually(() => claim.problems[0]?.message.includes(`came back ${times}`) === true)
    assert.deepEqual(at.names(), [OWN, '10-b.conf.set-aside-by-causeway'])
  }
  assert.equal(claim.problems[0]?.place, join(at.path, '10-b.conf'))
  assert.match(claim.problems[0]?.message ?? '', /^two CNIs are active: /)
  await clock.advance(3_600_000)
  assert.deepEqual(claim.problems, [])
  stop.abort()
  await running
})

test('a network that writes its file anew each time is told in the log once, and answered ever slower', async () => {
  using at = folder(OWN, '10-b.conf')
  const log = new FakeLog()
  const claim = at.claim({ log })
  const stop = new AbortController()
  const running = claim.run(stop.signal)
  claim.begin()
  const began = performance.now()
  const other = setInterval(() => at.write('10-b.conf'), 1)
  await eventually(() => claim.problems[0]?.message.includes('came back 6 times') === true)
  clearInterval(other)
  assert.ok(performance.now() - began > 400, 'each time it is waited longer')
  assert.deepEqual(
    log.lines.map(line => line.split(' ').at(-1)),
    ['again=false', 'again=true'],
  )
  stop.abort()
  await running
})

test('where others may stay, those that runtimes prefer to ours are problems', () => {
  using at = folder(OWN, '00-a.conf', '10-b.conf')
  const claim = at.claim({ exclusive: false })
  claim.begin()
  assert.deepEqual(at.names(), ['00-a.conf', OWN, '10-b.conf'])
  assert.deepEqual(
    claim.problems.map(p => p.place),
    [join(at.path, '00-a.conf')],
  )
  assert.match(claim.problems[0]?.message ?? '', /comes before 05-causeway.conflist; .*cni\.exclusive.*cni\.confName/)
})

test('what cannot be set aside is a problem until it can', () => {
  using at = folder(OWN, '10-b.conf')
  // A directory in the place of the name that it would get.
  const inTheWay = join(at.path, '10-b.conf.set-aside-by-causeway')
  mkdirSync(join(inTheWay, 'full'), { recursive: true })
  const claim = at.claim()
  claim.begin()
  assert.match(claim.problems[0]?.message ?? '', /could not be set aside: /)
  rmSync(inTheWay, { recursive: true })
  claim.begin()
  assert.deepEqual([at.names()[1], claim.problems], ['10-b.conf.set-aside-by-causeway', []])
})
