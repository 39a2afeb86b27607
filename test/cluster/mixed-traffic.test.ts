/**
 * One client that connects to one backend by its service and past it, again and again: none waits for the other's ports. A
 * backend remembers each connection it has closed for a minute, and a SYN that it takes for an old one's is answered with
 * nothing that the client understands: a second passes before the next.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { median } from '../bench/bench.ts'
import { addressOf, PORT, untilServiceAnswers, writeServices } from '../bench/support/bench-services.ts'
import { SERVER_PORT } from '../bench/support/core.ts'
import { WiredPods } from '../bench/support/wired-pods.ts'

const NETWORK = '10.100'
/** More in each way than there are ports that flows may be sent on from, 33,500: all are remembered, each by some way. */
const ROUNDS = 20
const CONNECTIONS = 2000
/** To find out how long so many take. */
const TRIAL_SECONDS = 0.02

const stack = new AsyncDisposableStack()
const { signal } = new AbortController()
let pods: WiredPods
before(async () => {
  pods = stack.use(await WiredPods.create(`mixed${process.pid}`, signal))
  writeServices(pods, NETWORK, 0, 2)
  for (const i of [0, 1]) await untilServiceAnswers(pods, addressOf(NETWORK, i), signal)
})
after(() => stack.disposeAsync())

test('connections by packet, by socket, past the service and by another one keep their rate', async () => {
  const ways = {
    direct: { address: pods.podAddress(4), port: SERVER_PORT, inNode: false },
    packet: { address: addressOf(NETWORK, 0), port: PORT, inNode: false },
    socket: { address: addressOf(NETWORK, 0), port: PORT, inNode: true },
    other: { address: addressOf(NETWORK, 1), port: PORT, inNode: false },
  }
  const rates: Record<string, number[]> = {}
  const trial = await pods.latencyTo('crr', ways.direct, TRIAL_SECONDS)
  const seconds = CONNECTIONS / trial.opsPerSecond
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, to] of Object.entries(ways))
      (rates[name] ??= []).push((await pods.latencyTo('crr', to, seconds)).opsPerSecond)
  const usual = median(Object.values(rates).flat())
  for (const [name, all] of Object.entries(rates)) {
    // A connection that waits for a second leaves its run with a fifth. A machine that stands still does so seldom.
    const slow = all.filter(rate => rate < usual / 3)
    assert.ok(
      slow.length <= ROUNDS / 5,
      `${name}: ${slow.length} of ${ROUNDS} runs, ${slow.join(' ')}; usual: ${usual}/s`,
    )
  }
})
