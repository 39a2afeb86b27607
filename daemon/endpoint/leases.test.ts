import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { SmallIpam } from '../../test/support/small-ipam.ts'
import type { AddressRequest, Ipam, Lease } from '../plugin.ts'
import { codeOf } from './errors.ts'
import { Leases } from './leases.ts'

const never = new AbortController().signal

function request(owner: string, more: Partial<AddressRequest> = {}): AddressRequest {
  return { owner, pod: { namespace: '', name: owner, uid: '' }, family: 4, ...more }
}

/** What an IPAM from outside throws: a code on an error of its own. */
function refuse(code: string): never {
  throw Object.assign(new Error(`refused: ${code}`), { code })
}

/** Gives those addresses, one owner each. */
function listIpam(pool: string, addresses: readonly string[]): Ipam & { readonly held: Map<string, string> } {
  const held = new Map<string, string>()
  return {
    held,
    pools: [pool],
    allocate: async ({ owner, family, address }) => {
      if (address !== undefined && !addresses.includes(address)) refuse('ADDRESS_NOT_IN_POOL')
      const found = address ?? addresses.find(each => !held.has(each)) ?? refuse('POOL_EXHAUSTED')
      held.set(found, owner)
      return { owner, family, address: found, pool }
    },
    release: async ({ address }) => void held.delete(address),
    restore: async leases => {
      for (const { address, owner } of leases) held.set(address, owner)
    },
    status: () => [
      {
        pool,
        family: 4,
        ranges: addresses.map(a => `${a}/32`),
        total: addresses.length,
        used: held.size,
        cooling: 0,
        excluded: 0,
        free: addresses.length - held.size,
      },
    ],
  }
}

const twoPools = [listIpam('public', ['192.0.2.1']), listIpam('default', ['10.0.0.1', '10.0.0.2'])]
for (const ipams of [twoPools, twoPools.toReversed()]) {
  test(`the default pool serves and is reported, wherever it stands: ${ipams.map(i => i.pools[0]).join(', ')}`, async () => {
    const leases = new Leases(ipams)
    const lease = await leases.allocate(request('a'), never)
    assert.equal(lease.pool, 'default')
    assert.deepEqual(
      leases.status().map(({ pool, used }) => [pool, used]),
      [['default', 1]],
    )
    await leases.release(lease, never)
  })
}

test('a wished address is given by the pool that has it, another one by none', async () => {
  const leases = new Leases([listIpam('default', ['10.0.0.1']), listIpam('public', ['192.0.2.1'])])
  assert.equal((await leases.allocate(request('a', { address: '192.0.2.1' }), never)).pool, 'public')
  await assert.rejects(leases.allocate(request('b', { address: '203.0.113.1' }), never), {
    code: 'ADDRESS_NOT_IN_POOL',
  })
})

test('the pool of requests that name none can be another one', async () => {
  const leases = new Leases([listIpam('default', ['10.0.0.1']), listIpam('public', ['192.0.2.1'])], 'public')
  assert.equal((await leases.allocate(request('a'), never)).pool, 'public')
  await assert.rejects(leases.allocate(request('b', { pool: 'unheard-of' }), never), { code: 'UNKNOWN_POOL' })
})

test('requests that find an outside pool exhausted wait, and are served in order of arrival', async () => {
  const ipam = listIpam('default', ['10.0.0.1'])
  const leases = new Leases([ipam])
  const first = await leases.allocate(request('first'), never)
  const order: string[] = []
  const waiting = ['second', 'third'].map(async owner => {
    const lease = await leases.allocate(request(owner), never)
    order.push(owner)
    await leases.release(lease, never)
  })
  await turn()
  await leases.release(first, never)
  const late = leases.allocate(request('late'), never)
  await turn()
  assert.deepEqual([order, [...ipam.held.values()]], [[], []])
  await Promise.all(waiting)
  assert.deepEqual(order, ['second', 'third'])
  assert.equal((await late).owner, 'late')
})

test('a request that is given up says what the pool said, also one that never had its turn', async () => {
  const leases = new Leases([new SmallIpam({ size: 1 })])
  await leases.allocate(request('holder'), never)
  const short = () => leases.allocate(request('late'), AbortSignal.timeout(20))
  for (const result of await Promise.allSettled([short(), short()])) {
    assert.ok(result.status === 'rejected' && codeOf(result.reason) === 'NO_ADDRESS')
    assert.match(String((result.reason as Error).cause), /all 1 IPv4 addresses are in use/)
  }
})

test('a pool is short of addresses while a request waits for one, whichever it is', async () => {
  const leases = new Leases([listIpam('default', ['10.0.0.1'])])
  const lease = await leases.allocate(request('holder'), never)
  const stop = new AbortController()
  const wished = leases.allocate(request('wishes', { address: '10.9.9.9' }), stop.signal).catch(codeOf)
  const waiting = leases.allocate(request('waits'), never)
  await eventually(() => leases.starved().length > 0)
  assert.deepEqual(leases.starved(), [{ pool: 'default', family: 4 }])
  await leases.release(lease, never)
  await waiting
  assert.deepEqual(leases.starved(), [])
  stop.abort()
  await wished
})

test('an address that comes after nobody waits for it any more is still its owner’s to give back', async () => {
  const answer = Promise.withResolvers<Lease>()
  const deaf: Ipam = { ...listIpam('default', []), allocate: () => answer.promise }
  const leases = new Leases([deaf])
  await assert.rejects(leases.allocate(request('a'), AbortSignal.timeout(1)), error => codeOf(error) === 'DEADLINE')
  await assert.rejects(leases.late('a', AbortSignal.timeout(1)))
  const lease: Lease = { owner: 'a', family: 4, address: '10.0.0.1', pool: 'default' }
  answer.resolve(lease)
  assert.deepEqual(await leases.late('a', never), [lease])
  assert.deepEqual(await leases.late('a', never), [])
})

test('an IPAM that does not end a release is not waited for without end', async () => {
  const stuck: Ipam = { ...listIpam('default', []), release: () => new Promise(() => {}) }
  const lease: Lease = { owner: 'a', family: 4, address: '10.0.0.1', pool: 'default' }
  await assert.rejects(new Leases([stuck]).release(lease, AbortSignal.timeout(1)), { name: 'TimeoutError' })
})

test('an address whose pool the ranges do not tell may be from any', () => {
  const leases = new Leases([listIpam('public', ['192.0.2.1']), listIpam('default', ['10.0.0.1'])])
  assert.deepEqual(leases.poolsOf('192.0.2.1'), ['public'])
  assert.deepEqual(leases.poolsOf('203.0.113.1'), ['default', 'public'])
})

async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Says of every request that it is exhausted, and what else. */
function exhausted(pool: string, more: object): Ipam {
  const empty = listIpam(pool, [])
  return {
    ...empty,
    allocate: () => Promise.reject(Object.assign(new Error(`${pool} is full`), { code: 'POOL_EXHAUSTED', ...more })),
  }
}

test('a pool that says that waiting is no use is not waited for, and its words are the cause', async () => {
  const leases = new Leases([exhausted('default', { final: true })])
  const refused = await leases.allocate(request('a'), never).catch((error: unknown) => error)
  assert.equal(codeOf(refused), 'NO_ADDRESS')
  assert.equal((refused as Error).message, 'no IPv4 address for a')
  assert.match(String((refused as Error).cause), /default is full/)
  assert.deepEqual(leases.starved(), [])
})

test('where a pool names another one, that is asked, once', async () => {
  const overlay = listIpam('overlay', ['10.64.0.1'])
  const leases = new Leases([exhausted('default', { final: true, fallback: 'overlay' }), overlay])
  const lease = await leases.allocate(request('a'), never)
  assert.deepEqual([lease.pool, lease.address], ['overlay', '10.64.0.1'])
  await leases.release(lease, never)
  assert.equal(overlay.held.size, 0)
  const both = new Leases([
    exhausted('default', { final: true, fallback: 'overlay' }),
    exhausted('overlay', { final: true, fallback: 'default' }),
  ])
  const refused = await both.allocate(request('a'), never).catch((error: unknown) => error)
  assert.deepEqual([codeOf(refused), String((refused as Error).cause)], ['NO_ADDRESS', 'Error: overlay is full'])
  const nowhere = new Leases([exhausted('default', { final: true, fallback: 'gone' })])
  await assert.rejects(nowhere.allocate(request('a'), never), { code: 'UNKNOWN_POOL' })
})

test('a pool in the place of another that is full itself is waited for', async () => {
  const overlay = listIpam('overlay', ['10.64.0.1'])
  const leases = new Leases([exhausted('default', { final: true, fallback: 'overlay' }), overlay])
  const first = await leases.allocate(request('a'), never)
  const waiting = leases.allocate(request('b'), never)
  await eventually(() => leases.starved().length === 1)
  assert.deepEqual(leases.starved(), [{ pool: 'overlay', family: 4 }])
  await leases.release(first, never)
  assert.equal((await waiting).address, '10.64.0.1')
})
