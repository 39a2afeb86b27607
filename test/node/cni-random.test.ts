/** The CNI executable under random input, environment and answers: it always ends with what the specification allows. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { attachmentEnv, callCni, type CniAnswer } from '../support/cni-call.ts'
import { CniFixture, outcome, refused } from '../support/cni-fixture.ts'
import { assertAddResult, assertError } from '../support/cni-rules.ts'
import { type Answer, FakeDaemon, rawDaemon } from '../support/fake-daemon.ts'
import { Random } from '../support/random.ts'

const result = {
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
  ips: [{ address: '10.0.0.5/32', interface: 0 }],
}
const agree: Answer = asked => ({ body: asked.path === '/v1/cni/add' ? result : {} })

/** A changed path may lead nowhere, and ADD waits for a daemon there. */
const quick = { addTimeoutMs: 200 }

let cni: CniFixture
before(async () => {
  cni = await CniFixture.create()
})
after(() => cni[Symbol.asyncDispose]())
beforeEach(() => cni.next())

/** Whatever comes in, the executable ends by itself with something the specification allows. */
function assertOrderly(answer: CniAnswer, verb: string, replay: string): void {
  assert.equal(answer.signal, null, replay)
  if (answer.status === 0) {
    if (verb === 'ADD') assertAddResult(answer.stdout, JSON.parse(answer.stdout).cniVersion)
    else if (verb !== 'VERSION') assert.equal(answer.stdout, '', replay)
    return
  }
  assert.equal(answer.status, 1, replay)
  const { code } = assertError(answer.stdout)
  assert.ok([1, 2, 4, 5, 6, 7, 11, 50, 101].includes(code), `code ${code}; ${replay}`)
  assert.match(answer.stderr, /^causeway: [^\n]*\n$/, replay)
}

const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']
const oddities = [null, 0, -1, 1e308, '', '\u0000', 'é', [], {}, [[]], { a: [{}] }, true, '__proto__', 'x'.repeat(5000)]

test('random bytes on standard input end in an error of the specification', async () => {
  await using _ = await FakeDaemon.listen(cni.socket, agree)
  const random = new Random()
  for (let i = 0; i < 200; i++) {
    const verb = random.pick(verbs)
    assertOrderly(await cni.call(verb, random.bytes(random.below(300))), verb, random.replay)
  }
})

test('configurations with flipped, cut and repeated bytes end in an error or are right', async () => {
  await using _ = await FakeDaemon.listen(cni.socket, agree)
  const random = new Random()
  for (let i = 0; i < 300; i++) {
    const verb = random.pick(verbs)
    const bytes = random.mutate(Buffer.from(JSON.stringify(cni.confFor(verb, quick))))
    assertOrderly(await cni.call(verb, bytes), verb, random.replay)
  }
})

test('any value in any field ends in an error or is right', async () => {
  await using _ = await FakeDaemon.listen(cni.socket, agree)
  const random = new Random()
  const names = ['prevResult', 'runtimeConfig', 'cni.dev/valid-attachments', 'args', '__proto__', 'constructor']
  for (let i = 0; i < 300; i++) {
    const verb = random.pick(verbs)
    const fields = cni.confFor(verb, quick)
    const name = random.pick([...Object.keys(fields), ...names])
    const value = random.below(2)
      ? random.pick(oddities)
      : { [random.pick(['ips', 'mac', 'interfaces'])]: random.pick(oddities) }
    // Not an object literal: `__proto__` shall be a member of its own.
    const text = `${JSON.stringify(fields).slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value)}}`
    assertOrderly(await cni.call(verb, text), verb, random.replay)
  }
})

test('random environments end in code 4 or are right', async () => {
  await using _ = await FakeDaemon.listen(cni.socket, agree)
  const random = new Random()
  const names = ['CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_NETNS', 'CNI_ARGS', 'CNI_PATH']
  for (let i = 0; i < 200; i++) {
    const verb = random.pick(verbs)
    const value = random.bytes(random.below(40)).toString('latin1').replaceAll('\0', '=')
    const env = { [random.pick(names)]: value }
    assertOrderly(await cni.call(verb, cni.confFor(verb, quick), env), env.CNI_COMMAND ?? verb, random.replay)
  }
})

test('a variable that is not UTF-8 is refused by name', async () => {
  const env = { ...attachmentEnv('ADD'), PATH: process.env.PATH }
  const script = `CNI_NETNS=$(printf '/\\377') exec ${cni.binary}`
  const answer = await callCni('/bin/sh', { env, stdin: cni.conf() }, ['-c', script])
  assert.deepEqual(outcome(answer), refused(4, 'invalid environment: CNI_NETNS: is not UTF-8'))
})

test('random and mutated answers of the daemon end in an error or are right', async () => {
  const random = new Random()
  const whole = Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Length: ${JSON.stringify(result).length}\r\n\r\n${JSON.stringify(result)}`,
  )
  for (let i = 0; i < 200; i++) {
    cni.next()
    const bytes = random.below(3) === 0 ? random.bytes(random.below(400)) : random.mutate(whole)
    await using _ = await rawDaemon(cni.socket, bytes)
    const verb = random.pick(verbs)
    const answer = await cni.call(verb, cni.confFor(verb, quick))
    if (verb !== 'ADD' || answer.status !== 0) assertOrderly(answer, verb, random.replay)
    else assert.equal(JSON.parse(answer.stdout).cniVersion, '1.1.0')
  }
})

test('what is JSON and what is not is told as JSON.parse tells it', async () => {
  const random = new Random()
  const seed = Buffer.from(
    String.raw`{"cniVersion":"1.0.0","a":[1,-2.5e+3,0,"\u00e9\ud83d\n"],"b":{"c":true,"d":null}}`,
  )
  for (let i = 0; i < 300; i++) {
    const text = random
      .mutate(seed)
      .toString('latin1')
      .replaceAll(/[^\n -~]/g, '"')
    const answer = await cni.call('VERSION', text)
    const malformed = answer.stdout.includes('"standard input: is not JSON"')
    let throws = false
    try {
      JSON.parse(text)
    } catch {
      throws = text.trim() !== ''
    }
    assert.equal(malformed, throws, `${JSON.stringify(text)}: ${answer.stdout}${random.replay}`)
  }
})
