/** Elections among processes that share one lease of a server of a few lines, on one clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { ApiError, ApiUnreachable } from '../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { pause } from '../state/pause.ts'
import { Election } from './election.ts'

interface StoredLease {
  readonly metadata: { readonly resourceVersion?: string }
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number }
}

/** Holds one lease as an API server does: a write must bear the version that it replaces. */
class LeaseServer implements Pick<ApiClient, 'get' | 'create' | 'replace'> {
  lease: StoredLease | undefined
  away = false
  /** How long it takes from a write to its answer. */
  answersAfterMs = 0
  #version = 0

  async get(): Promise<unknown> {
    this.#reach()
    return this.lease ?? Promise.reject(new ApiError('GET lease', 404, ''))
  }
  async create(_r: unknown, _p: unknown, object: object): Promise<unknown> {
    this.#reach()
    if (this.lease !== undefined) throw new ApiError('POST lease', 409, '')
    return this.#store(object as StoredLease)
  }
  async replace(_r: unknown, _p: unknown, object: unknown): Promise<unknown> {
    this.#reach()
    const next = object as StoredLease
    if (next.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) throw new ApiError('PUT lease', 409, '')
    return this.#store(next)
  }
  #store(lease: StoredLease): StoredLease {
    this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } }
    return this.lease
  }
  #reach(): void {
    if (this.away) throw new ApiUnreachable('it is away')
  }
}

/** Starts a candidate; `leads` tells whether its work runs. */
function candidate(server: LeaseServer, identity: string, clock: FakeClock) {
  const stop = new AbortController()
  const own = { server, leads: false, terms: 0 }
  const late = async (written: Promise<unknown>, signal: AbortSignal): Promise<unknown> => {
    const answer = await written
    await pause(clock, own.server.answersAfterMs, signal)
    signal.throwIfAborted()
    return answer
  }
  const client: Pick<ApiClient, 'get' | 'create' | 'replace'> = {
    get: () => own.server.get(),
    create: (r, p, object, signal) => late(own.server.create(r, p, object), signal),
    replace: (r, p, object, signal) => late(own.server.replace(r, p, object), signal),
  }
  const times = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 }
  const log = new FakeLog()
  const election = new Election({ client, namespace: 'n', lease: 'l', identity, ...times, log, clock })
  const ended = election.run(async until => {
    own.leads = true
    own.terms++
    await new Promise(resolve => {
      until.addEventListener('abort', resolve, { once: true })
    })
    own.leads = false
  }, stop.signal)
  return Object.assign(own, { stop: () => stop.abort(), ended, election, log })
}

test('one of several leads', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const all = ['a', 'b', 'c'].map(name => candidate(server, name, clock))
  await clock.advance(60_000)
  assert.equal(all.filter(each => each.leads).length, 1)
  assert.equal(
    all.reduce((sum, each) => sum + each.terms, 0),
    1,
  )
  for (const each of all) each.stop()
  await clock.advance(5000)
  await Promise.all(all.map(each => each.ended))
})

test('one that stops gives the lease back, and the next leads within a retry', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const first = candidate(server, 'a', clock)
  await settle()
  const second = candidate(server, 'b', clock)
  await clock.advance(3000)
  first.stop()
  await settle()
  assert.equal(first.leads, false)
  assert.equal(server.lease?.spec?.holderIdentity, '')
  await clock.advance(2000)
  assert.equal(second.leads, true)
  assert.equal(server.lease?.spec?.leaseTransitions, 1)
  second.stop()
})

test('one that stood still is not certain to lead before it has renewed', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const passing = clock.now.bind(clock)
  let stoodMs = 0
  clock.now = () => passing() + stoodMs
  const only = candidate(server, 'a', clock)
  await settle()
  await clock.advance(5000)
  assert.deepEqual([only.election.leading, only.election.certain], [true, true])
  stoodMs = 12_000
  assert.deepEqual([only.election.leading, only.election.certain], [true, false])
  only.stop()
  await clock.advance(5000)
  await only.ended
  assert.equal(only.election.certain, false)
})

test('one that cannot renew has stopped before another begins', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const first = candidate(server, 'a', clock)
  await settle()
  const second = candidate(server, 'b', clock)
  await clock.advance(5000)
  const away = new LeaseServer()
  away.away = true
  first.server = away
  const both: number[] = []
  for (let ms = 0; ms < 30_000; ms += 500) {
    await clock.advance(500)
    if (first.leads && second.leads) both.push(ms)
  }
  assert.deepEqual(both, [])
  assert.deepEqual([first.leads, second.leads], [false, true])
  first.stop()
  second.stop()
})

for (const answersAfterMs of [7000, 7900, 12_000])
  test(`one whose last renewal was answered ${answersAfterMs} ms late has stopped before another begins`, async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const first = candidate(server, 'a', clock)
    await settle()
    const second = candidate(server, 'b', clock)
    await clock.advance(5000)
    server.answersAfterMs = answersAfterMs
    await clock.advance(1500)
    // It has been written, and is not answered yet.
    const away = new LeaseServer()
    away.away = true
    first.server = away
    await clock.advance(answersAfterMs)
    server.answersAfterMs = 0
    let both = 0
    for (let ms = 0; ms < 40_000; ms += 100) {
      await clock.advance(100)
      if (first.leads && second.leads) both += 100
    }
    assert.deepEqual([both, first.leads, second.leads], [0, false, true])
    first.stop()
    second.stop()
  })

test('an API server that takes longer to answer than a lease may go without a renewal has no leader', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  server.answersAfterMs = 20_000
  const only = candidate(server, 'a', clock)
  await clock.advance(60_000)
  assert.equal(only.terms, 0)
  server.answersAfterMs = 0
  await clock.advance(12_000)
  assert.equal(only.leads, true)
  only.stop()
})

test('why the lease cannot be had is said once, and again after an answer', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  server.away = true
  const only = candidate(server, 'a', clock)
  await clock.advance(60_000)
  assert.deepEqual(only.log.lines, ['warn the lease cannot be had lease=n/l error=it is away'])
  server.away = false
  await clock.advance(3000)
  server.away = true
  await clock.advance(60_000)
  assert.equal(only.log.lines.filter(line => line.includes('cannot be had')).length, 2)
  only.stop()
})

test('an API server that is away for less than the lease costs no change of leader', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const first = candidate(server, 'a', clock)
  await settle()
  server.away = true
  await clock.advance(7000)
  server.away = false
  await clock.advance(5000)
  assert.deepEqual([first.leads, first.terms], [true, 1])
  first.stop()
})

test('what the leader throws ends the election, and the lease is free', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()]
  const times = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 }
  const options = { client: server, namespace: 'n', lease: 'l', identity: 'a', ...times, log: new FakeLog(), clock }
  const running = new Election(options).run(() => Promise.reject(new Error('it broke')), new AbortController().signal)
  const failed = assert.rejects(running, /it broke/)
  await clock.advance(3000)
  await failed
  assert.equal(server.lease?.spec?.holderIdentity, '')
})
