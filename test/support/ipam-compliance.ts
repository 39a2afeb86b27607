/** What every implementation of the slot `ipam` promises, whatever it takes its addresses from. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseAddress } from '../../daemon/kernel/ip.ts'
import type { Family } from '../../daemon/kernel/kernel.ts'
import { type AddressRequest, CausewayError, type Ipam, type Lease } from '../../daemon/plugin.ts'
import { FakeNotes } from './fake-notes.ts'
import { Random } from './random.ts'

/** A fresh implementation with exactly `size` addresses in one pool of one family, none of them held. */
export interface IpamSubject extends AsyncDisposable {
  readonly ipam: Ipam
  readonly pool: string
  readonly family: Family
  readonly size: number
  /** One of the addresses. */
  readonly address: string
  /** An address of the same family that the pool never gives. */
  readonly foreign: string
  /** Whether a released address rests before it is given again. */
  readonly cools: boolean
  /** Lets so much time pass that what was released may be given again. */
  cool(): Promise<void>
}

/** Runs the suite against one implementation; `create` is called for each test. */
export function ipamCompliance(name: string, create: () => Promise<IpamSubject>): void {
  const check = (what: string, body: (subject: Bench) => Promise<void>): void => {
    test(what, async () => {
      await using subject = await create()
      await body(new Bench(subject))
    })
  }
  suite(`slot ipam: ${name}`, () => {
    ownership(check)
    limits(check)
    cooling(check)
    restoring(check)
    property(check)
  })
}

type Check = (what: string, body: (bench: Bench) => Promise<void>) => void

function ownership(check: Check): void {
  check('a lease says whose it is, and is an address of its family without a length', async b => {
    const lease = await b.take('a')
    assert.deepEqual([lease.owner, lease.family, lease.pool], ['a', b.family, b.pool])
    assert.equal(parseAddress(lease.address).family, b.family)
  })
  check('an owner that asks again has the same lease', async b => {
    const first = await b.take('a')
    assert.deepEqual(await b.take('a'), first)
    assert.equal(b.status.used, 1)
  })
  check('owners have addresses of their own', async b => {
    const leases = await Promise.all(['a', 'b', 'c'].map(owner => b.take(owner)))
    assert.equal(new Set(leases.map(lease => lease.address)).size, 3)
  })
  check('releasing twice, or what was never leased, succeeds', async b => {
    const lease = await b.take('a')
    await b.release(lease)
    await b.release(lease)
    await b.release({ ...lease, owner: 'nobody' })
    assert.equal(b.status.used, 0)
  })
  check("another owner's release does not free an address", async b => {
    const lease = await b.take('a')
    await b.release({ ...lease, owner: 'b' })
    assert.equal(b.status.used, 1)
    assert.deepEqual(await b.take('a'), lease)
  })
  check('a late release of an address that has a new owner leaves it alone', async b => {
    const old = await b.take('a', b.address)
    await b.release(old)
    await b.cool()
    const lease = await b.take('b', b.address)
    await b.release(old)
    assert.equal(b.status.used, 1)
    assert.deepEqual(await b.take('b'), lease)
  })
  check('a particular address is given to who asks for it, unless another owner holds it', async b => {
    assert.equal((await b.take('a', b.address)).address, b.address)
    assert.equal((await b.take('a', b.address)).address, b.address)
    await b.refused('ADDRESS_IN_USE', b.take('b', b.address))
    assert.equal(b.status.used, 1)
  })
  check('an owner that holds one address cannot ask for another', async b => {
    const other = await b.take('other')
    const lease = await b.take('a')
    await b.refused('ADDRESS_IN_USE', b.take('a', other.address))
    assert.deepEqual(await b.take('a'), lease)
  })
  check('an address outside the pool is refused', async b => {
    await b.refused('ADDRESS_NOT_IN_POOL', b.take('a', b.foreign))
    await b.refused('ADDRESS_NOT_IN_POOL', b.take('a', 'no address'))
  })
  check('a pool that is not served is refused by name', async b => {
    const error = await b.refused('UNKNOWN_POOL', b.ipam.allocate({ ...b.request('a'), pool: 'unheard-of' }, b.never))
    assert.match(error.message, /unheard-of/)
  })
}

function limits(check: Check): void {
  check('every address is given once, and then the pool says in numbers that it is exhausted', async b => {
    const leases = await b.fill()
    assert.equal(new Set(leases.map(lease => lease.address)).size, b.size)
    assert.deepEqual([b.status.total, b.status.used, b.status.free], [b.size, b.size, 0])
    const error = await b.refused('POOL_EXHAUSTED', b.take('one too many'))
    assert.match(error.message, new RegExp(`\\b${b.size}\\b`))
    assert.deepEqual(await b.take(leases[0]?.owner ?? ''), leases[0])
  })
  check('a released address is given again once it has cooled down', async b => {
    const [lease] = await b.fill()
    assert.ok(lease)
    await b.release(lease)
    await b.cool()
    assert.equal((await b.take('next')).address, lease.address)
  })
  check('requests at once get what one after another would', async b => {
    const owners = Array.from({ length: b.size + 5 }, (_, i) => `o${i}`)
    const results = await Promise.allSettled(owners.map(owner => b.take(owner)))
    const given = results.flatMap(result => (result.status === 'fulfilled' ? [result.value.address] : []))
    assert.deepEqual([given.length, new Set(given).size], [b.size, b.size])
  })
  check('the same owner at once gets one lease', async b => {
    const leases = await Promise.all(Array.from({ length: 8 }, () => b.take('a')))
    assert.equal(new Set(leases.map(lease => lease.address)).size, 1)
    assert.equal(b.status.used, 1)
  })
  check('an aborted request gets nothing and costs nothing', async b => {
    await assert.rejects(b.ipam.allocate(b.request('a'), AbortSignal.abort(new Error('too late'))))
    assert.equal(b.status.used, 0)
  })
  check('the numbers of a pool add up', async b => {
    const leases = await b.fill()
    for (const lease of leases.slice(0, 2)) await b.release(lease)
    const { total, used, cooling, free } = b.status
    assert.deepEqual([total, used, cooling + free], [b.size, b.size - 2, 2])
  })
}

function cooling(check: Check): void {
  check('a released address rests, where addresses do, and another is given meanwhile', async b => {
    const lease = await b.take('a')
    await b.release(lease)
    assert.equal(b.status.cooling, b.cools ? 1 : 0)
    const next = await b.take('b')
    if (b.cools) assert.notEqual(next.address, lease.address)
    await b.cool()
    assert.equal(b.status.cooling, 0)
  })
  check('who finds nothing but resting addresses waits for one', async b => {
    const [lease] = await b.fill()
    assert.ok(lease)
    await b.release(lease)
    const waiting = b.take('next')
    if (b.cools) assert.equal(await b.isWaiting(waiting), true)
    await b.cool()
    assert.equal((await waiting).address, lease.address)
  })
  check('who gives up waiting is told what for, and has reserved nothing', async b => {
    const [lease] = await b.fill()
    assert.ok(lease)
    if (b.cools) await b.release(lease)
    const { used } = b.status
    const patience = new AbortController()
    const waiting = b.ipam.allocate(b.request('impatient'), patience.signal)
    const refused = b.refused('POOL_EXHAUSTED', waiting)
    if (b.cools) assert.equal(await b.isWaiting(refused), true)
    patience.abort(new Error('enough'))
    await refused
    assert.equal(b.status.used, used)
    if (!b.cools) await b.release(lease)
    await b.cool()
    assert.equal((await b.take('next')).address, lease.address)
  })
  check('addresses released before the start rest as those released since', async b => {
    const lease: Lease = { owner: 'gone', family: b.family, address: b.address, pool: b.pool }
    await b.ipam.restore([], [{ lease, agoMs: 0 }], new FakeNotes().open())
    assert.deepEqual([b.status.used, b.status.cooling], [0, b.cools ? 1 : 0])
    await b.cool()
    assert.equal((await b.take('a', b.address)).address, b.address)
  })
}

function restoring(check: Check): void {
  check('restored leases keep their owners and are not given to others', async b => {
    const restored: Lease = { owner: 'a', family: b.family, address: b.address, pool: b.pool }
    await b.ipam.restore([restored], [], new FakeNotes().open())
    assert.deepEqual(await b.take('a'), restored)
    await b.refused('ADDRESS_IN_USE', b.take('b', b.address))
    const others = await Promise.all(Array.from({ length: b.size - 1 }, (_, i) => b.take(`o${i}`)))
    assert.ok(others.every(lease => lease.address !== b.address))
  })
  check('a lease that the pool would not give today is kept, and can be released', async b => {
    const restored: Lease = { owner: 'a', family: b.family, address: b.foreign, pool: b.pool }
    await b.ipam.restore([restored], [], new FakeNotes().open())
    assert.deepEqual(await b.take('a'), restored)
    await b.release(restored)
    await b.cool()
    await b.fill()
  })
  check('of two restored leases of one address the first counts', async b => {
    const lease = { family: b.family, address: b.address, pool: b.pool }
    const owners = ['a', 'b'].map(owner => ({ ...lease, owner }))
    await b.ipam.restore(owners, [], new FakeNotes().open())
    assert.equal((await b.take('a')).address, b.address)
    assert.notEqual((await b.take('b')).address, b.address)
  })
}

function property(check: Check): void {
  check('no random sequence gives an address twice or loses one', async b => {
    const random = new Random()
    const held = new Map<string, Lease>()
    const log: string[] = []
    for (let step = 0; step < 400; step++) {
      log.push(await randomStep(b, held, random))
      const addresses = [...held.values()].map(lease => lease.address)
      const story = `${random.replay}; step ${step}:\n${log.slice(-20).join('\n')}`
      assert.equal(new Set(addresses).size, addresses.length, story)
      assert.equal(b.status.used, held.size, story)
    }
    for (const lease of held.values()) await b.release(lease)
    await b.cool()
    await b.fill()
  })
}

/** One step; answers what it did. `held` is what the owners hold afterwards. */
async function randomStep(b: Bench, held: Map<string, Lease>, random: Random): Promise<string> {
  const owner = `o${random.below(Math.ceil(b.size * 1.5))}`
  const lease = held.get(owner)
  const kind = random.below(100)
  if (kind < 5) {
    await b.cool()
    return 'cool'
  }
  if (kind < 35 && lease) {
    await b.release(lease)
    held.delete(owner)
    return `${owner} releases ${lease.address}`
  }
  if (kind < 45 && lease) {
    await b.release({ ...lease, owner: 'stranger' })
    return `a stranger releases ${lease.address}`
  }
  const address = kind < 60 ? b.address : undefined
  // A pool with nothing but cooling addresses lets a request wait; this one is given up after a while, or at once.
  const patience = new AbortController()
  const asked = b.ipam.allocate(b.request(owner, address), patience.signal)
  const answered = asked.then(
    given => given,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  )
  for (let turns = random.below(20); turns > 0; turns--) await new Promise(resolve => setImmediate(resolve))
  patience.abort()
  const answer = await answered
  if (!(answer instanceof Error)) held.set(owner, answer)
  return `${owner} asks for ${address ?? 'any'}: ${answer instanceof Error ? answer.message : answer.address}`
}

/** A subject with the few words the tests speak. */
class Bench {
  readonly ipam: Ipam
  readonly pool: string
  readonly family: Family
  readonly size: number
  readonly address: string
  readonly foreign: string
  readonly never = new AbortController().signal
  readonly cools: boolean
  readonly cool: () => Promise<void>

  constructor(subject: IpamSubject) {
    this.ipam = subject.ipam
    this.pool = subject.pool
    this.family = subject.family
    this.size = subject.size
    this.address = subject.address
    this.foreign = subject.foreign
    this.cools = subject.cools
    this.cool = () => subject.cool()
  }

  get status() {
    const status = this.ipam.status().find(({ pool, family }) => pool === this.pool && family === this.family)
    assert.ok(status, `status() lists pool ${this.pool}`)
    return status
  }
  request(owner: string, address?: string): AddressRequest {
    const pod = { namespace: 'test', name: owner, uid: '' }
    return { owner, pod, family: this.family, pool: this.pool, ...(address !== undefined && { address }) }
  }
  take(owner: string, address?: string): Promise<Lease> {
    return this.ipam.allocate(this.request(owner, address), this.never)
  }
  /** Whether a request has no answer although everything else had its turn. */
  async isWaiting(request: Promise<unknown>): Promise<boolean> {
    let answered = false
    const note = (): void => void (answered = true)
    request.then(note, note)
    for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
    return !answered
  }
  release(lease: Lease): Promise<void> {
    return this.ipam.release(lease, this.never)
  }
  fill(): Promise<Lease[]> {
    return Promise.all(Array.from({ length: this.size }, (_, i) => this.take(`owner ${i}`)))
  }
  async refused(code: string, promise: Promise<unknown>): Promise<CausewayError> {
    const error: unknown = await promise.then(
      () => assert.fail(`was not refused with ${code}`),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof Error && 'code' in error, String(error))
    assert.equal(error.code, code, error.message)
    // The code is what counts: an outside plugin may have an error class of its own.
    return error as CausewayError
  }
}
